using System.Text.Json;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Gradients;

/// <summary>
/// NaN, infinities, kinks and ties. Against PyTorch's recorded gradients (special.json); and over the whole table of cases: a NaN in dy reaches exactly those
/// gradients that depend on that element of dy, and a NaN in an input ends in numbers, not in an error.
/// </summary>
[TestClass]
public sealed class SpecialNumbersTests
{
    /// <summary>Rules that multiply with 0 what others leave out, so that a NaN in dy reaches its neighbours too: sums that are products with a matrix or a window of mostly zeros,
    /// borders and states of zeros, shares of equals (as PyTorch's amax), packed weights that are 0.</summary>
    private static readonly HashSet<string> spreading =
    [
        "AffineGrid", "Col2Im", "Conv", "DFT", "STFT", "GRU", "LSTM", "RNN", "com.microsoft.GRUTraining", "com.microsoft.LSTMTraining", "GridSample", "Mod", "OneHot", "ReduceMax", "ReduceMin", "Resize", "RoiAlign",
        "com.microsoft.MatMulBnb4", "com.microsoft.MatMulNBits",
    ];

    private static readonly JsonElement recorded = JsonDocument.Parse(File.ReadAllText(Path.Combine(TestFiles.Root, "tests", "Lift.Ort.Tests", "Gradients", "special.json"))).RootElement;

    public static IEnumerable<object[]> Operators => GradientRules.Operators.Select(op => new object[] { op });

    public static IEnumerable<object[]> Unary => recorded.GetProperty("unary").EnumerateObject().Select(p => new object[] { p.Name });

    public static IEnumerable<object[]> Binary => recorded.GetProperty("binary").EnumerateObject().Select(p => new object[] { p.Name });

    public static IEnumerable<object[]> Reductions => recorded.GetProperty("reductions").EnumerateObject().Select(p => new object[] { p.Name });

    [TestMethod, DynamicData(nameof(Unary))]
    public void Element_wise_gradients_at_special_numbers_are_those_of_PyTorch(string op)
    {
        float[] x = Numbers(recorded.GetProperty("x")), dy = Numbers(recorded.GetProperty("dy")), expected = Numbers(recorded.GetProperty("unary").GetProperty(op));
        GradientCase c = new("special", op == "Clip" ? [Vector(x), Tensor.Scalar("low", -1f), Tensor.Scalar("high", 1f)] : [Vector(x)], n =>
        {
            if (op == "HardSigmoid") n.With("alpha", 1f / 6);
        }, Opset: 20)
        { Vary = [0] };
        Compare(op, c, dy, [x], [expected]);
    }

    [TestMethod, DynamicData(nameof(Binary))]
    public void Gradients_of_two_operands_at_special_numbers_are_those_of_PyTorch(string op)
    {
        float[] a = Numbers(recorded.GetProperty("a")), b = Numbers(recorded.GetProperty("b")), dy = Numbers(recorded.GetProperty("dz"));
        float[][] expected = [.. recorded.GetProperty("binary").GetProperty(op).EnumerateArray().Select(Numbers)];
        Tensor[] inputs = op == "Where" ? [Tensor.From<bool>("c", [.. a.Select((_, i) => i % 2 == 0)], a.Length), Vector(a), Vector(b)] : [Vector(a), Vector(b)];
        Compare(op, new("special", inputs), dy, [a, b], expected);
    }

    [TestMethod, DynamicData(nameof(Reductions))]
    public void Gradients_of_reductions_at_special_numbers_are_those_of_PyTorch(string op)
    {
        float[] x = [.. recorded.GetProperty("rows").EnumerateArray().SelectMany(Numbers)], expected = Numbers(recorded.GetProperty("reductions").GetProperty(op));
        Tensor rows = Tensor.From<float>("x", x, 5, 3);
        GradientCase c = op == "ReduceSum" ? new("special", [rows, CaseData.L(1)]) : new("special", [rows], n => n.With("axes", [1L]));
        Compare(op, c, [1, 1, 1, 1, 1], [x], [expected]);
    }

    /// <summary>A NaN among the operands may end in NaN or in PyTorch's number; elsewhere both are equal, and NaN where PyTorch has NaN unless an infinity made it.</summary>
    private static void Compare(string op, GradientCase c, float[] dy, float[][] operands, float[][] expected)
    {
        float[][] actual = GradientCheck.WithDy(op, c, dy);
        var wrong = new List<string>();
        for (int k = 0; k < expected.Length; k++)
            for (int i = 0; i < expected[k].Length; i++)
            {
                float e = expected[k][i], a = actual[k][i], g = dy[i * dy.Length / expected[k].Length];
                float[] at = [.. operands.Select(o => o[i])];
                bool good = Same(e, a)
                    || (at.Any(float.IsNaN) && (float.IsNaN(a) || passing.Contains(op)))
                    || (float.IsNaN(e) && !float.IsNaN(g) && (dy.Length != expected[k].Length || at.Any(float.IsInfinity) || float.IsInfinity(g)));
                if (!good) wrong.Add($"operand {k}, ({string.Join(", ", at)}), dy {g}: {e} in PyTorch, {a} here");
            }
        Assert.AreEqual("", string.Join('\n', wrong), op);
    }

    /// <summary>Rules that are ONNX Runtime's operator: its ReluGrad gives 0 where x is NaN, PyTorch's dy.</summary>
    private static readonly HashSet<string> passing = ["Relu"];

    private static bool Same(float e, float a) => float.IsNaN(e) ? float.IsNaN(a) : e == a || Math.Abs(e - a) <= 2e-5f * Math.Max(1, Math.Abs(e));

    [TestMethod, DynamicData(nameof(Operators))]
    public void A_NaN_in_dy_reaches_what_depends_on_it_and_nothing_else(string op)
    {
        bool spreads = false;
        foreach (GradientCase c in GradientCases.Table[op].Where(c => !c.Dynamic && c.Vary is not [] && c.Inputs.All(t => t is not { Count: 0 })).Take(2))
        {
            using var probe = GradientCheck.Probe(op, c with { Inputs = [.. c.Inputs.Select(t => t?.Type == ElementType.Float ? WithoutZeros(t) : t)] });
            int count = probe.OutputSize;
            foreach (int i in new[] { 0, count / 2 + 1 }.Where(i => i < count))
            {
                float[] At(float value) => [.. Enumerable.Range(0, count).Select(j => j == i ? value : 0)];
                float[][] plain = probe.Gradients(At(0)), more = probe.Gradients(At(3)), poisoned = probe.Gradients(At(float.NaN));
                bool[] depends = [.. plain.Zip(more, (p, m) => p.Zip(m, (a, b) => Math.Abs(a - b) > 1e-6f * Math.Max(1, Math.Abs(a)))).SelectMany(d => d)], spoilt = [.. poisoned.SelectMany(g => g.Select(float.IsNaN))];
                Assert.IsFalse(depends.Zip(spoilt, (d, s) => d && !s).Any(hidden => hidden), $"{op} ({c.Note}): a NaN in dy[{i}] is hidden");
                bool beyond = depends.Zip(spoilt, (d, s) => s && !d).Any(spread => spread);
                if (!spreading.Contains(op)) Assert.IsFalse(beyond, $"{op} ({c.Note}): a NaN in dy[{i}] reaches gradients that do not depend on it");
                spreads |= beyond;
            }
        }
        Assert.AreEqual(spreading.Contains(op), spreads, $"{op}: take it from the list of those that spread NaN");
    }

    [TestMethod, DynamicData(nameof(Operators))]
    public void A_NaN_or_infinity_in_an_input_is_no_error(string op)
    {
        foreach (GradientCase c in GradientCases.Table[op].Where(c => !c.Dynamic && c.Vary is not []).Take(1))
        {
            using var probe = GradientCheck.Probe(op, c);
            foreach (float value in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity }) probe.Gradients(new float[probe.OutputSize], value);
        }
    }

    /// <summary>A factor of 0 makes NaN of NaN, though nothing depends on it: there shall be none by chance.</summary>
    private static Tensor WithoutZeros(Tensor t) => Tensor.From<float>(t.Name, Array.ConvertAll(t.ToFloats(), v => v == 0 ? 0.0173f : v), t.Dims);

    private static Tensor Vector(float[] values) => Tensor.From<float>("x", values, values.Length);

    private static float[] Numbers(JsonElement list) =>
        [.. list.EnumerateArray().Select(v => v.ValueKind switch { JsonValueKind.Null => float.NaN, JsonValueKind.String => v.GetString() == "inf" ? float.PositiveInfinity : float.NegativeInfinity, _ => v.GetSingle() })];
}
