using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Lift.Ort.Operators.Attentions;
using Lift.Ort.Tests.Devices;

namespace Lift.Ort.Tests.Operators;

/// <summary>The CUDA halves of the training operators, on the simulated GPU and on a real one, with the cases of the CPU halves.</summary>
[TestClass]
public sealed class CudaOperatorsTests
{
    /// <summary>Operators whose CUDA half is not written: sessions on a GPU leave their chains as they are. The list tests itself.</summary>
    private static readonly string[] none = [];

    /// <summary>
    /// Operators that belong on the CPU: BroadcastGradientArgs reads two shapes, which ONNX Runtime keeps in host memory, and answers axes that are read there; Group moves no data at all, it
    /// only orders nodes and says true.
    /// </summary>
    private static readonly string[] host = ["BroadcastGradientArgs", "Group"];

    public static IEnumerable<object[]> Rows =>
        from schema in TrainingOperators.Table where schema.OnCuda from device in new[] { "simulated", "cuda:0" } select new object[] { schema.Name, device };

    [TestMethod]
    public void Operators_without_a_cuda_half_are_known_by_name()
    {
        string[] actual = [.. TrainingOperators.Table.Where(s => !s.OnCuda).Select(s => s.Name).Order(StringComparer.Ordinal)];
        string[] expected = [.. none.Concat(host).Order(StringComparer.Ordinal)];
        Assert.AreEqual("", string.Join(", ", actual.Except(expected)), "write their CUDA halves, or name them in the list");
        Assert.AreEqual("", string.Join(", ", expected.Except(actual)), "they have CUDA halves now, or are gone: take them off the list");
    }

    [TestMethod, DynamicData(nameof(Rows))]
    public void Cuda_half_matches_a_plain_loop(string op, string name)
    {
        using IDevice device = TestDevice.Open(name);
        foreach (OperatorCase c in OperatorCases.For(op)) (c with { Tolerance = Math.Max(5e-6, c.Tolerance) }).Check(ElementType.Float, node => node with { Device = device });
    }

    /// <summary>Images that go in several chunks: the weight's gradient is added up over them.</summary>
    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void Convolutions_divide_a_batch_that_is_too_large(string name)
    {
        using IDevice device = TestDevice.Open(name);
        long budget = CudaPatches.Budget;
        try
        {
            CudaPatches.Budget = 12_000;
            foreach (OperatorCase c in OperatorCases.For("ConvTransposeGrad").Concat(OperatorCases.For("ConvGrad")).Where(c => c.Expected.Length == 3 && c.Inputs[1]!.Dims[0] > 1).Take(5))
                (c with { Tolerance = 5e-6 }).Check(ElementType.Float, node => node with { Device = device });
        }
        finally
        {
            CudaPatches.Budget = budget;
        }
    }

    /// <summary>Working memory for some rows of one head: heads and rows go one piece after the other.</summary>
    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void Attention_takes_heads_and_rows_in_pieces(string name)
    {
        using IDevice device = TestDevice.Open(name);
        long budget = CudaAttention.Budget;
        try
        {
            CudaAttention.Budget = 400;
            foreach (OperatorCase c in OperatorCases.For("Attention").Concat(OperatorCases.For("AttentionGrad")).Where(c => c.Inputs.All(i => i is null || i.Values.Length < 200)))
                (c with { Tolerance = 2e-5 }).Check(ElementType.Float, node => node with { Device = device });
        }
        finally
        {
            CudaAttention.Budget = budget;
        }
    }

    /// <summary>Every activation function, coupled gates, and a sequence without a step, against the CPU half: forward, and backward from what the forward kept.</summary>
    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void Recurrent_cuda_halves_know_every_function(string name)
    {
        using IDevice device = TestDevice.Open(name);
        string[] functions = ["Relu", "Affine:0.5:0.25", "LeakyRelu", "ThresholdedRelu:0.1", "ScaledTanh:1.5:0.5", "HardSigmoid", "Elu:0.5", "Softsign", "Softplus"];
        foreach (var (i, f) in functions.Index())
        {
            TestTensor Of(int seed, params long[] dims) => Grid.Normal(seed + i, dims).Map(v => v / 2)!;
            bool lstm = i % 2 == 0;
            long gates = lstm ? 4 : 3;
            (string, object)[] attributes =
                [("hidden_size", 3L), ("direction", "bidirectional"), ("activation_functions", lstm ? $"Sigmoid {f} {f} HardSigmoid Tanh {f}" : $"{f} Tanh Sigmoid {f}"), ("input_forget", lstm ? 1L : 0L), ("linear_before_reset", lstm ? 0L : i / 2 % 2)];
            TestTensor x = Of(1, 3, 2, 2), w = Of(2, 2, gates * 3, 2), r = Of(3, 2, gates * 3, 3), b = Of(4, 2, 2 * gates * 3), h0 = Of(5, 2, 2, 3), c0 = Of(6, 2, 2, 3), p = Of(7, 2, 9);
            TestTensor lengths = new(ElementType.Int32, [2], [3, 0]), dAll = Of(8, 3, 2, 2, 3), dFinal = Of(9, 2, 2, 3);
            OneNode forward = new(lstm ? "LSTMTraining" : "GRUTraining", attributes) { Outputs = lstm ? 5 : 3 }, backward = new(lstm ? "LSTMGrad" : "GRUGrad", attributes) { Outputs = lstm ? 7 : 5 };
            TestTensor[] y = Same(forward, lstm ? [x, w, r, b, lengths, h0, c0, p] : [x, w, r, b, lengths, h0]);
            Same(backward, lstm ? [x, w, r, lengths, h0, c0, y[0], y[3], y[4], dAll, dFinal, dFinal, p] : [x, w, r, b, lengths, h0, y[0], y[2], dAll, dFinal]);
        }

        TestTensor[] Same(OneNode node, TestTensor?[] inputs)
        {
            TestTensor[] expected = node.Run(inputs);
            new OperatorCase(node, inputs, expected) { Tolerance = 2e-6 }.Check(ElementType.Float, n => n with { Device = device });
            return expected;
        }
    }

    /// <summary>In 16 bits a gate near its bound has the bound's own value, and counts as clipped; the CPU half, which is given such numbers as float32, sees no clipping in them.</summary>
    private static bool IsClipped(OperatorCase c) => c.Node.Attributes.Any(a => a.Name == "clip");

    /// <summary>In 16 bits, against the CPU half on the same rounded numbers in float32.</summary>
    [TestMethod, DynamicData(nameof(Rows))]
    public void Cuda_half_in_16_bits_matches_the_cpus_in_32(string op, string name)
    {
        OperatorSchema schema = TrainingOperators.Table.Single(s => s.Name == op);
        if (!schema.Inputs.Any(p => p.Type is "T" or "V")) return;
        using IDevice device = TestDevice.Open(name);
        OperatorCase[] cases = [.. OperatorCases.For(op).Where(c => !IsClipped(c))];
        foreach (var (type, precision) in new[] { (ElementType.BFloat16, 1.0 / 128), (ElementType.Float16, 1.0 / 1024) })
        {
            foreach (OperatorCase c in cases.Where((_, i) => i % Math.Max(1, (cases.Length + 5) / 6) == 0)) // a session each: six are enough
            {
                string TypeOf(int input) => schema.Inputs[Math.Min(input, schema.Inputs.Length - 1)].Type;
                TestTensor?[] rounded = [.. c.Inputs.Select((t, i) => t?.Type == ElementType.Float && TypeOf(i) != "U" ? t.Rounded(type) : t)];
                TestTensor[] expected = c.Node.Run(rounded);
                TestTensor[] actual = (c.Node with { Device = device }).Run([.. rounded.Select((t, i) => t?.Type == ElementType.Float && TypeOf(i) != "U" ? t.As(type) : t)]);
                string[] types = [.. Enumerable.Range(0, c.Node.Outputs).Except(c.Node.Absent).Select(o => schema.Outputs[Math.Min(o, schema.Outputs.Length - 1)].Type)];
                foreach (var ((e, a), declared) in expected.Zip(actual).Zip(types))
                {
                    if (e.Type == ElementType.Float) Assert.AreEqual(declared is "U" or "float" ? ElementType.Float : type, a.Type, $"{c}");
                    CollectionAssert.AreEqual(e.Dims, a.Dims);
                    double largest = Math.Max(1e-3, e.Values.Select(Math.Abs).DefaultIfEmpty().Max());
                    for (int i = 0; i < e.Values.Length; i++)
                        if (!(Math.Abs(e.Values[i] - a.Values[i]) <= precision * largest)) Assert.Fail($"{c}, {type}: element {i} is {a.Values[i]}, not {e.Values[i]}");
                }
            }
        }
    }
}
