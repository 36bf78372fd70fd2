using System.Security.Cryptography;
using System.Text;
using Lift.Ort.Devices.Cuda.Interop;
using Lift.Ort.Onnx;

namespace Lift.Ort.Devices.Cuda;

/// <summary>
/// Turns an embedded .cu file into machine code for a GPU with NVRTC. Results are kept on disk by the hash of sources, options and compiler, so that
/// a kernel is compiled once per machine. The .cuh files are handed over as headers by name: there is no include folder.
/// </summary>
internal sealed unsafe class KernelCompiler(string architecture)
{
    /// <summary>Headers, all of which every kernel file may include.</summary>
    private static readonly Lazy<(string[] Names, string[] Texts)> headers = new(() =>
    {
        string[] names = [.. typeof(KernelCompiler).Assembly.GetManifestResourceNames().Where(n => n.EndsWith(".cuh", StringComparison.Ordinal)).Order()];
        return (names, [.. names.Select(Resource)]);
    });

    /// <summary>Where compiled kernels are kept; LIFT_CACHE overrides the user's own cache folder.</summary>
    public static string CacheFolder
    {
        get
        {
            string? own = Environment.GetEnvironmentVariable("LIFT_CACHE");
            string user = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData);
            return Path.Combine(own is { Length: > 0 } ? own : Path.Combine(user.Length > 0 ? user : Path.GetTempPath(), "lift-ort"), "kernels");
        }
    }

    /// <summary>Kernels that NVRTC compiled in this process; the others came from the disk.</summary>
    public int Compiled { get; private set; }

    /// <summary>All embedded kernel files.</summary>
    public static IEnumerable<string> Files => typeof(KernelCompiler).Assembly.GetManifestResourceNames().Where(n => n.EndsWith(".cu", StringComparison.Ordinal)).Order();

    /// <summary>How a kernel file is told which element type it is compiled for.</summary>
    public static string? Define(ElementType? type) => type switch
    {
        null => null,
        ElementType.Float => "SCALAR_FLOAT32",
        ElementType.Float16 => "SCALAR_FLOAT16",
        ElementType.BFloat16 => "SCALAR_BFLOAT16",
        ElementType.Int32 => "SCALAR_INT32",
        ElementType.Int64 => "SCALAR_INT64",
        ElementType.Bool => "SCALAR_BOOL",
        _ => throw new NotSupportedException($"there is no kernel for {type}"),
    };

    /// <summary>Machine code of <paramref name="file"/> for one element type.</summary>
    /// <exception cref="CudaException">It does not compile; the message holds the file's name and the compiler's log.</exception>
    public byte[] Compile(string file, ElementType? type = null) => Compile(Resource(file), file, type);

    /// <summary>The same for a source that is at hand.</summary>
    public byte[] Compile(string source, string name, ElementType? type)
    {
        List<string> options = [$"--gpu-architecture={architecture}", "--std=c++17", "--fmad=true"];
        if (Define(type) is { } define) options.Add($"--define-macro={define}");
        Nvrtc.Version(out int major, out int minor).ThrowIfFailed();
        string key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\0', [source, .. headers.Value.Texts, $"{major}.{minor}", .. options]))));
        string path = Path.Combine(CacheFolder, $"{Path.GetFileNameWithoutExtension(name)}-{key[..32]}.cubin");
        if (Read(path) is { } known) return known;
        byte[] cubin = Run(source, name, options);
        Compiled++;
        Keep(path, cubin);
        return cubin;
    }

    /// <summary>The text of an embedded file.</summary>
    public static string Resource(string name)
    {
        using Stream stream = typeof(KernelCompiler).Assembly.GetManifestResourceStream(name) ?? throw new ArgumentException($"there is no kernel file {name}");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    private static byte[] Run(string source, string name, List<string> options)
    {
        Nvrtc.CreateProgram(out NvrtcProgramHandle program, source, name, headers.Value.Names.Length, headers.Value.Texts, headers.Value.Names).ThrowIfFailed(name);
        using (program)
        {
            NvrtcResult result = Nvrtc.CompileProgram(program, options.Count, [.. options]);
            if (result != NvrtcResult.Success) throw new CudaException($"NVRTC does not compile {name} ({string.Join(' ', options)}; code {(int)result}):\n{Log(program)}");
            Nvrtc.GetCubinSize(program, out nuint size).ThrowIfFailed(name);
            byte[] cubin = new byte[size];
            fixed (byte* c = cubin) Nvrtc.GetCubin(program, c).ThrowIfFailed(name);
            return cubin;
        }
    }

    private static string Log(NvrtcProgramHandle program)
    {
        Nvrtc.GetProgramLogSize(program, out nuint size).ThrowIfFailed();
        byte[] log = new byte[size];
        fixed (byte* l = log) Nvrtc.GetProgramLog(program, l).ThrowIfFailed();
        return Encoding.UTF8.GetString(log).TrimEnd('\0', '\n');
    }

    private static byte[]? Read(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllBytes(path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>A cache that cannot be written costs time, not the run.</summary>
    private static void Keep(string path, byte[] cubin)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            string temporary = $"{path}.{Environment.ProcessId}.tmp";
            File.WriteAllBytes(temporary, cubin);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }
}
