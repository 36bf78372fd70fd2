using System.CommandLine;
using Lift.Ort.Cli.Bench;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift bench gemm</c>: how fast the device multiplies.</summary>
internal sealed class BenchGemmCommand : BenchMeasurement
{
    private readonly Option<int[]> sizes = new("--sizes") { Description = "Sides of the square matrices.", DefaultValueFactory = _ => [1024, 2048], AllowMultipleArgumentsPerToken = true, HelpName = "N" };
    private readonly Option<int> inner = Choices.Count("--inner", "Products of one timed run; its time is divided by it.", 1);

    public BenchGemmCommand() : base("gemm", "The arithmetic ceiling: TFLOP/s of square products in ONNX Runtime; float32, and on a GPU TF32 (--tf32) and bfloat16.", "lift bench gemm --sizes 512 1024")
    {
        Add(sizes);
        Add(inner);
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        using IDevice open = OpenDevice(line);
        foreach (int n in line.GetValue(sizes)!)
        {
            if (n < 1) throw new LiftException($"--sizes holds {n}; give 1 or more.");
            foreach (ElementType type in open.Computes16Bit ? new[] { ElementType.Float, ElementType.BFloat16 } : [ElementType.Float])
            {
                Times times = Measure(line, open, n, type);
                string kind = type == ElementType.BFloat16 ? "bf16" : open.Computes16Bit && line.GetValue(Tf32) ? "tf32" : "fp32";
                Report(line, output, "gemm", new { kind, size = n, inner = line.GetValue(inner) }, times,
                    new Dictionary<string, double> { ["tflops"] = 2.0 * n * n * n / times.MedianS / 1e12 }, new { peak_memory_bytes = Machine.PeakMemory() });
            }
        }
    }

    private Times Measure(ParseResult line, IDevice open, int n, ElementType type)
    {
        using var settings = new SessionOptions();
        open.AddTo(settings);
        using var session = new InferenceSession(Model(n, type), settings);
        using OrtIoBinding binding = session.CreateIoBinding();
        int size = type.Bits() / 8;
        using DeviceBuffer<byte> a = open.Allocate<byte>((long)n * n * size), b = open.Allocate<byte>((long)n * n * size), c = open.Allocate<byte>((long)n * n * size);
        var random = new Random(line.GetValue(Seed));
        byte[] values = new byte[(long)n * n * size];
        foreach (DeviceBuffer<byte> buffer in new[] { a, b })
        {
            for (int i = 0; i < values.Length; i += size)
            {
                uint bits = BitConverter.SingleToUInt32Bits(random.NextSingle() - 0.5f);
                if (size == 4) BitConverter.TryWriteBytes(values.AsSpan(i), bits);
                else BitConverter.TryWriteBytes(values.AsSpan(i), (ushort)(bits >> 16));
            }
            buffer.CopyFrom(values);
        }
        using OrtValue va = Value(open, a, n, type), vb = Value(open, b, n, type), vc = Value(open, c, n, type);
        binding.BindInput("a", va);
        binding.BindInput("b", vb);
        binding.BindOutput("c", vc);
        int products = line.GetValue(inner);
        return PatienceOf(line).Time(() =>
        {
            for (int i = 0; i < products; i++) open.Run(session, binding, wait: false);
            open.Synchronize();
        }).Divided(products);
    }

    private static OrtValue Value(IDevice device, DeviceBuffer<byte> buffer, int n, ElementType type) =>
        OrtValue.CreateTensorValueWithData(device.MemoryInfo, (Microsoft.ML.OnnxRuntime.Tensors.TensorElementType)type, [n, n], buffer.Pointer, buffer.Length);

    /// <summary>c = a b</summary>
    private static byte[] Model(int n, ElementType type)
    {
        var graph = new Graph();
        var square = new TensorType(type, Shape.Of([n, n]));
        graph.Inputs.AddRange([new("a", square), new("b", square)]);
        graph.Outputs.Add(new("c", square));
        graph.Nodes.Add(new Node("MatMul", "", ["a", "b"], ["c"]));
        string path = Path.Combine(Directory.CreateTempSubdirectory("lift-bench-").FullName, "gemm.onnx");
        OnnxFile.Write(graph, path);
        byte[] bytes = File.ReadAllBytes(path);
        Directory.Delete(Path.GetDirectoryName(path)!, true);
        return bytes;
    }
}
