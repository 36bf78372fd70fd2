using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Devices.Cuda;

/// <summary>Every kernel file is compiled to PTX for an H100 or H200 by clang, for every element type that it has.</summary>
[TestClass]
public sealed class KernelFilesTests
{
    public static IEnumerable<object[]> Files => KernelCompiler.Files.Select(f => new object[] { f });

    [TestMethod]
    public void There_are_kernel_files() => Assert.IsTrue(KernelCompiler.Files.Count() >= 5, string.Join(", ", KernelCompiler.Files));

    [TestMethod, DynamicData(nameof(Files))]
    public void Kernel_compiles_to_ptx(string file)
    {
        NativeTools.Need("clang-19");
        string source = KernelCompiler.Resource(file);
        StringAssert.Contains(source, "extern \"C\" __global__ void ");
        using TempFolder folder = TestFiles.Temp();
        foreach (string name in typeof(KernelCompiler).Assembly.GetManifestResourceNames().Where(n => n.EndsWith(".cuh", StringComparison.Ordinal)))
            File.WriteAllText(folder[name], KernelCompiler.Resource(name));
        File.WriteAllText(folder[file], source);
        string headers = Path.Combine(TestFiles.Root, "tests", "Lift.Ort.Tests", "Devices", "Cuda", "Simulator");
        foreach (ElementType? type in TypesOf(source))
        {
            string output = folder[$"{type}.ptx"];
            string[] define = KernelCompiler.Define(type) is { } d ? [$"-D{d}"] : [];
            var (code, text) = NativeTools.Run("clang-19", ["-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "--cuda-gpu-arch=sm_90", "--cuda-feature=+ptx78", "-O2", "-S", "-std=c++17", "-Wall", "-Werror",
                "-Wno-unused-function", "-Wno-unknown-cuda-version", .. define, $"-I{headers}", $"-I{folder.Path}", folder[file], "-o", output]);
            Assert.AreEqual(0, code, $"{file} for {type}: {text}");
            string ptx = File.ReadAllText(output);
            foreach (string kernel in Kernels(source)) StringAssert.Contains(ptx, $".entry {kernel}(", $"{file} for {type}");
        }
    }

    /// <summary>The element types that a file is compiled for: those its first lines name, or none.</summary>
    internal static ElementType?[] TypesOf(string source)
    {
        if (!source.Contains("scalar", StringComparison.Ordinal)) return [null];
        if (source.Contains("16-bit scalars only", StringComparison.Ordinal)) return [ElementType.Float16, ElementType.BFloat16];
        return source.Contains("// any type", StringComparison.Ordinal)
            ? [ElementType.Float, ElementType.Float16, ElementType.BFloat16, ElementType.Int32, ElementType.Int64, ElementType.Bool]
            : [ElementType.Float, ElementType.Float16, ElementType.BFloat16];
    }

    internal static IEnumerable<string> Kernels(string source) =>
        System.Text.RegularExpressions.Regex.Matches(source, @"__global__ void (\w+)\(").Select(m => m.Groups[1].Value);
}
