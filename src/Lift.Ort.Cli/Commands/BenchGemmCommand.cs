using System.CommandLine;
using Lift.Ort.Cli.Bench;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift bench gemm</c>: how fast the processor multiplies.</summary>
internal sealed class BenchGemmCommand : BenchMeasurement
{
    private readonly Option<int[]> sizes = new("--sizes") { Description = "Sides of the square matrices.", DefaultValueFactory = _ => [1024, 2048], AllowMultipleArgumentsPerToken = true, HelpName = "N" };

    public BenchGemmCommand() : base("gemm", "The arithmetic ceiling: TFLOP/s of square float32 products in ONNX Runtime.", "lift bench gemm --sizes 512 1024") => Add(sizes);

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        foreach (int n in line.GetValue(sizes)!)
        {
            if (n < 1) throw new LiftException($"--sizes holds {n}; give 1 or more.");
            Times times = Measure(line, n);
            Report(line, output, "gemm", new { kind = "fp32", size = n, inner = 1 }, times,
                new Dictionary<string, double> { ["tflops"] = 2.0 * n * n * n / times.MedianS / 1e12 }, new { peak_memory_bytes = Machine.PeakMemory() });
        }
    }

    private Times Measure(ParseResult line, int n)
    {
        using IDevice open = Ort.Devices.Device.Open(line.GetValue(Device)!);
        using var options = new SessionOptions();
        open.AddTo(options);
        using var session = new InferenceSession(Model(n), options);
        using OrtIoBinding binding = session.CreateIoBinding();
        using DeviceBuffer<float> a = open.Allocate<float>((long)n * n), b = open.Allocate<float>((long)n * n), c = open.Allocate<float>((long)n * n);
        var random = new Random(line.GetValue(Seed));
        float[] values = new float[n * n];
        foreach (DeviceBuffer<float> buffer in new[] { a, b })
        {
            for (int i = 0; i < values.Length; i++) values[i] = random.NextSingle() - 0.5f;
            buffer.CopyFrom(values);
        }
        using OrtValue va = Value(open, a, n), vb = Value(open, b, n), vc = Value(open, c, n);
        binding.BindInput("a", va);
        binding.BindInput("b", vb);
        binding.BindOutput("c", vc);
        using var run = new RunOptions();
        return PatienceOf(line).Time(() => session.RunWithBinding(run, binding));
    }

    private static OrtValue Value(IDevice device, DeviceBuffer<float> buffer, int n) =>
        OrtValue.CreateTensorValueWithData(device.MemoryInfo, Microsoft.ML.OnnxRuntime.Tensors.TensorElementType.Float, [n, n], buffer.Pointer, buffer.Length * sizeof(float));

    /// <summary>c = a b</summary>
    private static byte[] Model(int n)
    {
        var graph = new Graph();
        var square = new TensorType(ElementType.Float, Shape.Of([n, n]));
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
