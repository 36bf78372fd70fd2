using System.CommandLine;
using Lift.Ort.Cli.Bench;
using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift bench attention</c>: the attention operators alone, forward, and forward with backward.</summary>
internal sealed class BenchAttentionCommand : BenchMeasurement
{
    private readonly Option<int> batch = Choices.Count("--batch", "Texts at a time.", 4), heads = Choices.Count("--heads", "Heads of the queries.", 32), few = Choices.Count("--kv-heads", "Heads of keys and values.", 8);
    private readonly Option<int> size = Choices.Count("--head", "Numbers of a head.", 64), length = Choices.Count("--seq", "Tokens of a text.", 2048);
    private readonly Option<bool> full = new("--full") { Description = "Every token sees all; default: those before it." };
    private readonly Option<bool> pieces = new("--pieces") { Description = "On a GPU: scores in pieces through cuBLAS instead of tiles on tensor cores, to compare with." };

    public BenchAttentionCommand() : base("attention", "The fused attention operators: TFLOP/s of the products that a causal mask leaves; bfloat16 on a GPU, float32 on the CPU.", "lift bench attention --batch 1 --heads 8 --kv-heads 2 --seq 256")
    {
        foreach (Option option in new Option[] { batch, heads, few, size, length, full, pieces }) Add(option);
    }

    protected override CudaOptions CudaOf(ParseResult line) => base.CudaOf(line) with { AttentionTiles = !line.GetValue(pieces) };

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        if (line.GetValue(heads) % line.GetValue(few) != 0) throw new LiftException($"--heads {line.GetValue(heads)} is no multiple of --kv-heads {line.GetValue(few)}.");
        using IDevice open = OpenDevice(line);
        bool causal = !line.GetValue(full);
        double products = 4.0 * line.GetValue(batch) * line.GetValue(heads) * line.GetValue(length) * line.GetValue(length) * line.GetValue(size) / (causal ? 2 : 1);
        foreach (bool backward in new[] { false, true })
        {
            Times times = Measure(line, open, backward, causal);
            var sizes = new { pass = backward ? "forward+backward" : "forward", way = line.GetValue(pieces) ? "pieces" : "tiles", batch = line.GetValue(batch), heads = line.GetValue(heads), kv_heads = line.GetValue(few), head = line.GetValue(size), seq = line.GetValue(length), causal };
            Report(line, output, "attention", sizes, times, new Dictionary<string, double> { ["tflops"] = products * (backward ? 3.5 : 1) / times.MedianS / 1e12 }, new { peak_memory_bytes = Machine.PeakMemory() });
        }
    }

    private Times Measure(ParseResult line, IDevice open, bool backward, bool causal)
    {
        ElementType type = open.Computes16Bit ? ElementType.BFloat16 : ElementType.Float;
        long tokens = line.GetValue(length);
        long[] q = [line.GetValue(batch), line.GetValue(heads), tokens, line.GetValue(size)], k = [line.GetValue(batch), line.GetValue(few), tokens, line.GetValue(size)];
        (string Name, ElementType Type, long[] Dims)[] inputs = [("q", type, q), ("k", type, k), ("v", type, k), ("mask", ElementType.Float, [causal ? tokens : 1, causal ? tokens : 1]), ("dy", type, q)];
        (string Name, ElementType Type, long[] Dims)[] outputs = backward ? [("dq", type, q), ("dk", type, k), ("dv", type, k)] : [("y", type, q), ("lse", ElementType.Float, q[..^1])];
        if (!backward) inputs = inputs[..^1];
        using var settings = new SessionOptions();
        open.AddTo(settings);
        TrainingOperators.AddTo(settings, open);
        using var session = new InferenceSession(Model(inputs, outputs, (float)(1 / Math.Sqrt(line.GetValue(size)))), settings);
        using OrtIoBinding binding = session.CreateIoBinding();
        var held = new List<IDisposable>();
        var random = new Random(line.GetValue(Seed));
        foreach (var (name, of, dims) in inputs.Concat(outputs))
        {
            long count = dims.Aggregate(1L, (a, b) => a * b);
            DeviceBuffer<byte> buffer = open.Allocate<byte>(count * of.Bits() / 8);
            OrtValue value = OrtValue.CreateTensorValueWithData(open.MemoryInfo, (Microsoft.ML.OnnxRuntime.Tensors.TensorElementType)of, dims, buffer.Pointer, buffer.Length);
            held.AddRange([value, buffer]);
            if (outputs.Any(o => o.Name == name)) binding.BindOutput(name, value);
            else
            {
                buffer.CopyFrom(Numbers(of, count, i => name != "mask" ? random.NextSingle() - 0.5f : causal && i % tokens > i / tokens ? float.NegativeInfinity : 0));
                binding.BindInput(name, value);
            }
        }
        try
        {
            return (PatienceOf(line) with { WarmSeconds = 0.5 }).Time(() =>
            {
                open.Run(session, binding, wait: false);
                open.Synchronize();
            });
        }
        finally
        {
            foreach (IDisposable part in held) part.Dispose();
        }
    }

    private static byte[] Numbers(ElementType type, long count, Func<long, float> number)
    {
        int bytes = type.Bits() / 8;
        byte[] values = new byte[count * bytes];
        for (long i = 0; i < count; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(number(i));
            Span<byte> at = values.AsSpan((int)(i * bytes));
            if (bytes == 4) BitConverter.TryWriteBytes(at, bits);
            else BitConverter.TryWriteBytes(at, (ushort)(bits >> 16));
        }
        return values;
    }

    private static byte[] Model((string Name, ElementType Type, long[] Dims)[] inputs, (string Name, ElementType Type, long[] Dims)[] outputs, float scale)
    {
        var graph = new Graph();
        graph.Domains["lift.ort"] = 1;
        graph.Inputs.AddRange(inputs.Select(i => new GraphValue(i.Name, new TensorType(i.Type, Shape.Of(i.Dims)))));
        graph.Outputs.AddRange(outputs.Select(o => new GraphValue(o.Name, new TensorType(o.Type, Shape.Of(o.Dims)))));
        graph.Nodes.Add(new Node("Attention", "lift.ort", ["q", "k", "v", "", "", "mask"], ["y", "lse"]).With("scale", scale));
        if (inputs.Any(i => i.Name == "dy")) graph.Nodes.Add(new Node("AttentionGrad", "lift.ort", ["dy", "q", "k", "v", "lse", "", "", "mask", "y"], ["dq", "dk", "dv"]).With("scale", scale));
        string folder = Directory.CreateTempSubdirectory("lift-bench-").FullName, path = Path.Combine(folder, "attention.onnx");
        OnnxFile.Write(graph, path);
        byte[] bytes = File.ReadAllBytes(path);
        Directory.Delete(folder, true);
        return bytes;
    }
}
