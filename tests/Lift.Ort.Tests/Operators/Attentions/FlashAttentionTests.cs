using Google.Protobuf;
using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Lift.Ort.Operators.Attentions;
using Lift.Ort.Sparse;
using Lift.Ort.Tests.Devices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Lift.Ort.Tests.Operators.Attentions;

/// <summary>Attention in tiles, forward and backward, against the CPU halves in float32 on the same rounded numbers.</summary>
[TestClass]
public sealed unsafe class FlashAttentionTests
{
    private static readonly double nothing = double.NegativeInfinity, lowest = float.MinValue;

    /// <summary>One attention: q [batch, heads, rows, depth], k of `few` heads, and what is laid over the scores.</summary>
    private sealed record Example(long Batch, long Heads, long Few, long Rows, long Columns, long Depth, long Width)
    {
        public Grid? Bias { get; init; }

        public Grid? Keep { get; init; }

        public Grid? Mask { get; init; }

        public (string, object)[] Attributes { get; init; } = [];

        /// <summary>True where heads lie inside of the sequence: [batch, sequence, heads, depth].</summary>
        public bool Turned { get; init; }

        public OneNode Forward => new("Attention", All) { Domain = OperatorSchema.OwnDomain, Outputs = 2 };

        public OneNode Backward => new("AttentionGrad", All) { Domain = OperatorSchema.OwnDomain, Outputs = 3 };

        private (string, object)[] All
        {
            get
            {
                long[] order = [0, 2, 1, 3];
                IEnumerable<(string, object)> orders = Turned ? [("q_order", order), ("k_order", order), ("v_order", order), ("y_order", order)] : [];
                return [("scale", (float)(1 / Math.Sqrt(Depth))), .. Attributes, .. orders];
            }
        }

        public long[] Dims(long heads, long length, long width) => Turned ? [Batch, length, heads, width] : [Batch, heads, length, width];
    }

    private static Grid Laid(long rows, long columns, Func<long, long, bool> sees, double otherwise)
    {
        Grid g = Grid.Zeros(rows, columns);
        foreach (long[] at in g.Positions()) g[at] = sees(at[0], at[1]) ? 0 : otherwise;
        return g;
    }

    private static Grid Causal(long rows, long columns, double otherwise) => Laid(rows, columns, (i, j) => j <= i + columns - rows, otherwise);

    /// <summary>Which columns of each batch are there: [batch, 1, 1, columns].</summary>
    private static Grid Padding(long columns, params (long From, long To)[] there)
    {
        Grid g = Grid.Zeros(there.Length, 1, 1, columns);
        foreach (long[] at in g.Positions()) g[at] = at[3] >= there[at[0]].From && at[3] < there[at[0]].To ? 1 : 0;
        return g;
    }

    private static readonly Dictionary<string, Func<Example>> examples = new()
    {
        ["plain"] = () => new(2, 2, 2, 70, 130, 40, 24),
        ["causal, grouped heads"] = () => new(1, 4, 2, 150, 150, 64, 64) { Mask = Causal(150, 150, nothing) },
        ["causal by keep, finite fill"] = () => new(1, 2, 1, 130, 130, 32, 32) { Keep = Causal(130, 130, -1).Map(v => v + 1), Attributes = [("fill", -1e4f)], Turned = true },
        ["window"] = () => new(1, 1, 1, 300, 300, 16, 16) { Mask = Laid(300, 300, (i, j) => j <= i && j > i - 40, nothing) },
        ["heads of 80"] = () => new(1, 2, 2, 66, 66, 80, 96) { Mask = Causal(66, 66, -6e4) },
        ["heads of 128, turned"] = () => new(1, 2, 1, 129, 140, 128, 128) { Mask = Causal(129, 140, nothing), Turned = true },
        ["right padding"] = () => new(2, 2, 1, 100, 100, 32, 32) { Mask = Causal(100, 100, nothing), Keep = Padding(100, (0, 100), (0, 30)) },
        ["left padding, rows of masks alone are even"] = () => new(2, 2, 1, 100, 100, 32, 32) { Bias = Causal(100, 100, lowest / 2), Mask = Padding(100, (70, 100), (5, 100)).Map(v => (1 - v) * lowest / 2) },
        ["nothing kept, guarded"] = () => new(2, 2, 2, 80, 80, 24, 24) { Keep = Padding(80, (0, 0), (20, 70)), Attributes = [("guard", 1)] },
        ["bias of heads, softcap"] = () => new(2, 2, 2, 20, 70, 24, 24) { Bias = Grid.Normal(3, 1, 2, 20, 70), Attributes = [("softcap", 2f)] },
        ["mask of batches and heads"] = () => new(2, 2, 1, 20, 70, 24, 24) { Mask = Grid.Normal(4, 2, 2, 20, 70).Map(v => v < -0.7 ? -1e4 : 0) },
        ["floor"] = () => new(1, 2, 2, 70, 70, 24, 24) { Mask = Laid(70, 70, (i, j) => j > i, lowest), Bias = Causal(70, 70, lowest), Attributes = [("floor", -3e38f)] },
        ["scores too large for their logarithm"] = () => new(1, 2, 2, 66, 66, 64, 64) { Bias = Grid.Zeros(66, 1).Map(_ => 32_768), Mask = Causal(66, 66, nothing) },
        ["one row"] = () => new(3, 2, 1, 1, 65, 8, 8),
    };

    public static IEnumerable<object[]> Rows => from name in examples.Keys from device in new[] { "simulated", "cuda:0" } select new object[] { name, device };

    [TestMethod, DynamicData(nameof(Rows))]
    public void Tiles_give_what_the_cpu_gives(string name, string on)
    {
        using var device = (CudaDevice)TestDevice.Open(on);
        Example e = examples[name]();
        foreach (var (type, precision) in new[] { (ElementType.BFloat16, 1.0 / 100), (ElementType.Float16, 1.0 / 600) })
        {
            var (q, k, v, dy) = Operands(e, type);
            TestTensor?[] over = [e.Bias, Bools(e.Keep), e.Mask];
            TestTensor[] expected = e.Forward.Run([q, k, v, .. over]);
            TestTensor[] gradients = e.Backward.Run([dy, q, k, v, expected[1], .. over]);
            long before = FlashAttention.Runs;
            TestTensor[] actual = Run(device, e.Forward, [q.As(type), k.As(type), v.As(type), .. over], [expected[0] with { Type = type }, expected[1]]);
            Same(expected[0], actual[0], precision, $"{name}, {type}: y");
            Same(expected[1], actual[1], 1e-3, $"{name}, {type}: lse");
            TestTensor?[] inputs = [dy.As(type), q.As(type), k.As(type), v.As(type), actual[1], .. over, actual[0]];
            TestTensor[] results = [.. gradients.Select(g => g with { Type = type })];
            TestTensor[] made = Run(device, e.Backward, inputs, results);
            foreach (var (which, (g, a)) in gradients.Zip(made).Index()) Same(g, a, 2 * precision, $"{name}, {type}: {new[] { "dq", "dk", "dv" }[which]}");
            Assert.AreEqual(before + 2, FlashAttention.Runs, "the kernels were not used");
            foreach (var (a, b) in made.Zip(Run(device, e.Backward, inputs, results))) CollectionAssert.AreEqual(a.Values, b.Values, "another run gives other bits");
        }
    }

    /// <summary>Where masks leave nothing of a tile, its values may be anything: here they are no numbers at all.</summary>
    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void Tiles_without_probabilities_are_left_out(string on)
    {
        using var device = (CudaDevice)TestDevice.Open(on);
        foreach (double fill in new[] { nothing, -1e4, lowest })
        {
            Example e = new(1, 2, 1, 130, 192, 16, 16) { Keep = Padding(192, (64, 128)), Attributes = [("fill", (float)fill)] };
            var (q, k, v, dy) = Operands(e, ElementType.BFloat16);
            TestTensor spoiled = v with { Values = [.. v.Values.Select((x, i) => i / 16 is >= 64 and < 128 ? x : double.NaN)] };
            TestTensor[] results = [dy, new(ElementType.Float, [1, 2, 130], new double[260])];
            TestTensor[] Forward(TestTensor values) => Run(device, e.Forward, Narrow([q, k, values, null, Bools(e.Keep)]), Narrow(results)!);
            TestTensor[] clean = Forward(v), actual = Forward(spoiled);
            CollectionAssert.AreEqual(clean[0].Values, actual[0].Values, $"fill {fill}");
            TestTensor[] Backward(TestTensor values) => Run(device, e.Backward, Narrow([dy, q, k, values, clean[1], null, Bools(e.Keep), null, clean[0]]), Narrow([q, k, v])!);
            foreach (var (which, (a, b)) in Backward(v).Zip(Backward(spoiled)).Index()) // keys 0 to 63 share a block with those that are seen
                CollectionAssert.AreEqual(a.Values[(which == 0 ? 0 : 128 * 16)..], b.Values[(which == 0 ? 0 : 128 * 16)..], $"fill {fill}, {which}");
        }

        TestTensor?[] Narrow(TestTensor?[] all) => [.. all.Select((t, i) => t is null || (t.Type == ElementType.Float && t.Dims.Length == 3) ? t : FlashAttentionTests.Narrow(t, ElementType.BFloat16))];
    }

    /// <summary>A row that sees nothing, without a guard, is no number, as on the CPU; the others are.</summary>
    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void Rows_that_see_nothing_are_no_numbers(string on)
    {
        using var device = (CudaDevice)TestDevice.Open(on);
        Example e = new(1, 1, 1, 70, 70, 16, 16) { Mask = Laid(70, 70, (i, _) => i != 3 && i != 66, nothing) };
        var (q, k, v, _) = Operands(e, ElementType.BFloat16);
        TestTensor[] y = Run(device, e.Forward, [.. Narrow16(q, k, v), null, null, e.Mask], [q.As(ElementType.BFloat16), new(ElementType.Float, [1, 1, 70], new double[70])]);
        for (int i = 0; i < 70; i++) Assert.AreEqual(i is 3 or 66, double.IsNaN(y[0].Values[i * 16]) && double.IsNaN(y[1].Values[i]), $"row {i}");
    }

    /// <summary>Other sizes, types and strides go through cuBLAS.</summary>
    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void Other_attentions_take_the_other_way(string on)
    {
        using var device = (CudaDevice)TestDevice.Open(on);
        long before = FlashAttention.Runs;
        foreach (Example e in new[] { new Example(1, 1, 1, 3, 5, 20, 8), new(1, 1, 1, 3, 5, 136, 8), new(1, 1, 1, 3, 5, 8, 12), new(1, 1, 1, 3, 5, 8, 8) { Attributes = [("k_order", new long[] { 0, 1, 3, 2 })] } })
        {
            var (q, k, v, dy) = Operands(e, ElementType.BFloat16);
            if (e.Attributes.Length > 0) k = new(k.Type, [1, 1, 8, 5], k.Values);
            TestTensor[] expected = e.Forward.Run(q, k, v);
            TestTensor[] actual = Run(device, e.Forward, [.. new[] { q, k, v }.Select(t => t.As(ElementType.BFloat16))], [dy.As(ElementType.BFloat16), expected[1]]);
            Same(expected[0], actual[0], 0.01, "y");
        }
        Example small = new(1, 1, 1, 3, 5, 8, 8);
        var (a, b, c, _) = Operands(small, ElementType.BFloat16);
        Run(device, small.Forward, [a, b, c], [a, new(ElementType.Float, [1, 1, 3], new double[3])]);
        Assert.AreEqual(before, FlashAttention.Runs);
    }

    private static (TestTensor Q, TestTensor K, TestTensor V, TestTensor Dy) Operands(Example e, ElementType type)
    {
        TestTensor Of(int seed, params long[] dims) => ((TestTensor)Grid.Normal(seed, dims)!).Rounded(type);
        return (Of(11, e.Dims(e.Heads, e.Rows, e.Depth)), Of(12, e.Dims(e.Few, e.Columns, e.Depth)), Of(13, e.Dims(e.Few, e.Columns, e.Width)), Of(14, e.Dims(e.Heads, e.Rows, e.Width)));
    }

    private static TestTensor? Bools(Grid? grid) => ((TestTensor?)grid)?.As(ElementType.Bool);

    private static IEnumerable<TestTensor> Narrow16(params TestTensor[] tensors) => tensors.Select(t => t.As(ElementType.BFloat16));

    private static TestTensor? Narrow(TestTensor? tensor, ElementType type) => tensor?.Type == ElementType.Float ? tensor.As(type) : tensor;

    private static void Same(TestTensor expected, TestTensor actual, double precision, string what)
    {
        double largest = Math.Max(1e-3, expected.Values.Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty().Max());
        for (int i = 0; i < expected.Values.Length; i++)
        {
            double e = expected.Values[i], a = actual.Values[i];
            if (!(e.Equals(a) || Math.Abs(e - a) <= precision * largest)) Assert.Fail($"{what}: element {i} of [{string.Join(", ", expected.Dims)}] is {a}, not {e}; the largest is {largest}");
        }
    }

    /// <summary>Runs a node on tensors in the device's memory, whose addresses are multiples of 256.</summary>
    private static TestTensor[] Run(CudaDevice device, OneNode node, TestTensor?[] inputs, TestTensor[] outputs)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        device.AddTo(options);
        TrainingOperators.AddTo(options, device);
        using var session = new InferenceSession(node.Model(inputs).ToByteArray(), options);
        using OrtIoBinding binding = session.CreateIoBinding();
        List<IDisposable> held = [];
        DeviceBuffer<byte> Bind(TestTensor tensor, Action<OrtValue> bind)
        {
            DeviceBuffer<byte> buffer = device.Allocate<byte>(Math.Max(1, tensor.Values.Length * tensor.Type.Bits() / 8));
            OrtValue value = OrtValue.CreateTensorValueWithData(device.MemoryInfo, (TensorElementType)tensor.Type, tensor.Dims, buffer.Pointer, tensor.Values.Length * tensor.Type.Bits() / 8);
            held.AddRange(buffer, value);
            bind(value);
            return buffer;
        }
        foreach (var (i, tensor) in inputs.Index())
            if (tensor is not null) Bind(tensor, v => binding.BindInput($"in{i}", v)).CopyFrom(Bytes(tensor));
        DeviceBuffer<byte>[] results = [.. outputs.Select((o, i) => Bind(o, v => binding.BindOutput($"out{i}", v)))];
        device.Run(session, binding, wait: true);
        TestTensor[] read = [.. outputs.Zip(results, (o, r) => o with { Values = Numbers(r.Get(), o.Type) })];
        foreach (IDisposable part in held) part.Dispose();
        return read;
    }

    private static byte[] Bytes(TestTensor t) => t.Type switch
    {
        ElementType.Bool => [.. t.Values.Select(v => (byte)(v != 0 ? 1 : 0))],
        ElementType.Float => [.. t.Values.SelectMany(v => BitConverter.GetBytes((float)v))],
        _ => [.. t.Values.SelectMany(v => BitConverter.GetBytes(HalfPrecision.Round((float)v, t.Type)))],
    };

    private static double[] Numbers(byte[] bytes, ElementType type) => type == ElementType.Float
        ? [.. Enumerable.Range(0, bytes.Length / 4).Select(i => (double)BitConverter.ToSingle(bytes, 4 * i))]
        : [.. Enumerable.Range(0, bytes.Length / 2).Select(i => (double)HalfPrecision.Widen(BitConverter.ToUInt16(bytes, 2 * i), type))];
}
