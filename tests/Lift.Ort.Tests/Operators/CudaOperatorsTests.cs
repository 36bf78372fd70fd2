using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Lift.Ort.Tests.Devices;

namespace Lift.Ort.Tests.Operators;

/// <summary>The CUDA halves of the training operators, on the simulated GPU and on a real one, with the cases of the CPU halves.</summary>
[TestClass]
public sealed class CudaOperatorsTests
{
    /// <summary>Operators whose CUDA half is not written: in a CUDA session they run on the CPU, with copies around them. The list tests itself.</summary>
    private static readonly string[] none =
    [
        "GRUGrad", "GRUTraining", "LSTMGrad", "LSTMTraining",
    ];

    /// <summary>Operators on shapes and signals: they belong on the CPU, where ONNX Runtime keeps shapes.</summary>
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
        foreach (OperatorCase c in OperatorCases.For(op)) (c with { Tolerance = 5e-6 }).Check(ElementType.Float, node => node with { Device = device });
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

    /// <summary>In 16 bits, against the CPU half on the same rounded numbers in float32.</summary>
    [TestMethod, DynamicData(nameof(Rows))]
    public void Cuda_half_in_16_bits_matches_the_cpus_in_32(string op, string name)
    {
        OperatorSchema schema = TrainingOperators.Table.Single(s => s.Name == op);
        if (!schema.Inputs.Any(p => p.Type is "T" or "V")) return;
        using IDevice device = TestDevice.Open(name);
        OperatorCase[] cases = OperatorCases.For(op);
        foreach (var (type, precision) in new[] { (ElementType.BFloat16, 1.0 / 128), (ElementType.Float16, 1.0 / 1024) })
        {
            foreach (OperatorCase c in cases.Where((_, i) => i % Math.Max(1, (cases.Length + 5) / 6) == 0)) // a session each: six are enough
            {
                string TypeOf(int input) => schema.Inputs[Math.Min(input, schema.Inputs.Length - 1)].Type;
                TestTensor?[] rounded = [.. c.Inputs.Select((t, i) => t?.Type == ElementType.Float && TypeOf(i) != "U" ? t.Rounded(type) : t)];
                TestTensor[] expected = c.Node.Run(rounded);
                TestTensor[] actual = (c.Node with { Device = device }).Run([.. rounded.Select((t, i) => t?.Type == ElementType.Float && TypeOf(i) != "U" ? t.As(type) : t)]);
                foreach (var (e, a) in expected.Zip(actual))
                {
                    if (e.Type == ElementType.Float) Assert.AreEqual(type, a.Type, $"{c}");
                    CollectionAssert.AreEqual(e.Dims, a.Dims);
                    double largest = Math.Max(1e-3, e.Values.Select(Math.Abs).DefaultIfEmpty().Max());
                    for (int i = 0; i < e.Values.Length; i++)
                        if (!(Math.Abs(e.Values[i] - a.Values[i]) <= precision * largest)) Assert.Fail($"{c}, {type}: element {i} is {a.Values[i]}, not {e.Values[i]}");
                }
            }
        }
    }
}
