using System.Security.Cryptography;
using System.Text;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Opsets;

namespace Lift.Ort.Tests.Gradients;

/// <summary>What holds for every rule, checked over the whole table of cases.</summary>
[TestClass]
public sealed class RulePropertiesTests
{
    /// <summary>Rules that need a dimension, or a rank, in numbers, and refuse in one sentence where it is a symbol.</summary>
    private static readonly HashSet<string> mayRefuse = ["Conv", "ConvTranspose"];

    /// <summary>Operators whose operands behind the first are packed, or belong to what is packed: initializers, with numbers for dimensions.</summary>
    private static readonly HashSet<string> packed = ["DequantizeLinear", "com.microsoft.DequantizeLinear", "com.microsoft.MatMulNBits", "DynamicQuantizeLinear", "MatMulInteger"];

    /// <summary>Operators whose float64 kernel rounds to float32 on the way.</summary>
    private static readonly HashSet<string> rounding = ["Shrink", "GroupNormalization"];

    /// <summary>Operators whose cases fit no other sizes: what an integer input or attribute says goes with them.</summary>
    private static readonly HashSet<string> fixedSizes = ["OneHot"];

    /// <summary>Operators whose inputs must fit one another in their values too: positions without repeats, labels that add up to 1.</summary>
    private static readonly HashSet<string> special = ["ScatterElements", "ScatterND", "MaxUnpool", "com.microsoft.PadAndUnflatten", "com.microsoft.SoftmaxCrossEntropy", "SparseSoftmaxCrossEntropy", "Compress", "GatherND", "com.microsoft.GatherND"];

    /// <summary>Operators whose kernel in ONNX Runtime ends the process over an empty batch (the first eight), gives it another shape, or takes what does not fit; and those whose rule
    /// multiplies a matrix from the left, which ONNX Runtime's MatMul does not repeat over an empty batch. Einsum (an axis summed away), ReduceMean (an empty list of axes) and ReduceProd: their gradients differ there between
    /// dimensions in numbers and in symbols, not looked into, as no batch of a run is empty.</summary>
    private static readonly HashSet<string> notEmpty = ["DFT", "GRU", "LSTM", "RNN", "TopK", "STFT", "com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul",
        .. GradientRules.Operators.Where(op => op.StartsWith("Reduce", StringComparison.Ordinal) && op is not "ReduceSum"), "Einsum", "Compress", "SparseSoftmaxCrossEntropy", "com.microsoft.BatchNormInternal", "Resize", "RoiAlign"];

    /// <summary>Operators whose cases have nothing to differentiate by.</summary>
    private static readonly HashSet<string> quantized = [.. GradientRules.Operators.Where(op => GradientCases.Table.TryGetValue(op, out var cases) && cases.All(c => c.Vary is []))];

    /// <summary>Operators whose inputs no longer fit with two times as many elements in all of them, or come to lie on a kink.</summary>
    private static readonly HashSet<string> notDeep = ["com.microsoft.ConcatTraining", "com.microsoft.MatMulBnb4", "Shrink"];

    /// <summary>Operators that take no empty batch in ONNX Runtime, or whose cases do not.</summary>
    private static readonly HashSet<string> neverEmpty = ["AffineGrid", "GroupNormalization", "OneHot", "ScatterND", "SoftmaxCrossEntropyLoss", "Where"];

    public static IEnumerable<object[]> Operators => GradientRules.Operators.Select(op => new object[] { op });

    [TestMethod, DynamicData(nameof(Operators))]
    public void Gradient_is_the_same_where_dimensions_are_symbols(string op)
    {
        foreach (GradientCase c in GradientCases.Table[op].Where(c => !c.Dynamic && c.Vary is not []))
        {
            float[][] expected = GradientCheck.Gradients(op, c, _ => false);
            foreach (bool all in new[] { false, true })
            {
                try
                {
                    float[][] symbolic = GradientCheck.Gradients(op, c, i => packed.Contains(op) ? i == 0 : all || i == 0);
                    for (int i = 0; i < expected.Length; i++)
                    {
                        Assert.AreEqual(expected[i].Length, symbolic[i].Length, $"{op} ({c.Note}): size of gradient {i}");
                        foreach (var (e, a) in expected[i].Zip(symbolic[i])) Assert.AreEqual(e, a, 1e-4f * Math.Max(1, Math.Abs(e)), $"{op} ({c.Note}), {(all ? "all inputs" : "first input")} symbolic: gradient {i}");
                    }
                }
                catch (LiftException e) when (mayRefuse.Contains(op))
                {
                    StringAssert.Contains(e.Message, "No gradient for ");
                }
            }
        }
    }

    [TestMethod, DynamicData(nameof(Operators))]
    public void Gradient_matches_finite_differences_in_float64(string op)
    {
        if (rounding.Contains(op)) return;
        foreach (GradientCase c in GradientCases.Table[op].Where(c => c.Outputs == 1 || !op.EndsWith("LayerNormalization", StringComparison.Ordinal))) // whose statistics are float32
        {
            if (!GradientCheck.RunDouble(op, c)) Assert.Inconclusive($"ONNX Runtime has no float64 kernel on the processor for {op} ({c.Note})");
        }
    }

    [TestMethod, DynamicData(nameof(Operators))]
    public void Gradient_matches_finite_differences_for_random_sizes(string op)
    {
        if (special.Contains(op) || quantized.Contains(op)) return;
        int tried = 0;
        foreach (var (c, i) in Some(op, 3).Select((c, i) => (c, i)))
        {
            for (int seed = 0; seed < 2; seed++)
            {
                if (CaseVariants.OtherSizes(c, seed * (31 + i)).FirstOrDefault(v => GradientCheck.Loss(op, v) is not null and not 0) is not { } variant) continue;
                GradientCheck.Run(op, variant);
                tried++;
            }
        }
        Assert.AreEqual(fixedSizes.Contains(op), tried == 0, $"{op}: {tried} variants of other sizes");
    }

    [TestMethod, DynamicData(nameof(Operators))]
    public void Where_a_node_takes_an_empty_batch_its_gradient_does(string op)
    {
        int tried = 0;
        if (notEmpty.Contains(op) || quantized.Contains(op)) return;
        foreach (GradientCase c in Some(op, 3))
        {
            if (CaseVariants.Empty(c).FirstOrDefault(v => GradientCheck.Loss(op, v) is not null) is not { } variant) continue;
            tried++;
            float[][] known = GradientCheck.Gradients(op, variant, _ => false), symbolic;
            try
            {
                symbolic = GradientCheck.Gradients(op, variant, i => packed.Contains(op) ? i == 0 : true);
            }
            catch (LiftException) when (mayRefuse.Contains(op))
            {
                continue;
            }
            for (int i = 0; i < known.Length; i++)
            {
                CollectionAssert.AreEqual(known[i], symbolic[i], $"{op} ({variant.Note}): gradient {i}");
                Assert.IsTrue(known[i].All(float.IsFinite), $"{op} ({variant.Note}): gradient {i}");
            }
        }
        Assert.AreEqual(neverEmpty.Contains(op), tried == 0, $"{op}: {tried} empty variants");
    }

    [TestMethod, DynamicData(nameof(Operators))]
    public void Where_a_node_takes_scalars_six_axes_or_axes_from_the_end_its_gradient_does(string op)
    {
        if (!special.Contains(op) && !notDeep.Contains(op) && Some(op, 1).FirstOrDefault() is { } some && CaseVariants.SixAxes(some) is var deep && GradientCheck.Loss(op, deep) is not null and not 0) GradientCheck.Run(op, deep);
        foreach (GradientCase c in Some(op, 2))
        {
            // Pow: a negative base and a broken exponent lie near one of its cases.
            if (op != "Pow" && CaseVariants.Scalars(c) is var scalars && GradientCheck.Loss(op, scalars) is not null) GradientCheck.Run(op, scalars);
            int rank = c.Inputs[0]?.Dims.Length ?? 0;
            if (CaseVariants.FromTheEnd(c, rank) is not { } variant || GradientCheck.Loss(op, variant) is not { } loss || Math.Abs(loss - GradientCheck.Loss(op, c)!.Value) > 1e-5) continue;
            float[][] expected = GradientCheck.Gradients(op, c, _ => false), actual = GradientCheck.Gradients(op, variant, _ => false);
            for (int i = 0; i < expected.Length; i++) CollectionAssert.AreEqual(expected[i], actual[i], $"{op} ({variant.Note}): gradient {i}");
        }
    }

    /// <summary>Forms of reductions and the like differ between opsets: what a rule writes must be said in that of the graph.</summary>
    [TestMethod, DynamicData(nameof(Operators))]
    public void Gradient_is_the_same_in_every_opset_that_has_the_form(string op)
    {
        foreach (GradientCase c in Some(op, 2))
        {
            if (c.Opset < OpsetConverter.Lowest || GradientCheck.Loss(op, c) is not { } loss) continue;
            float[][]? expected = null;
            foreach (GradientCase other in new[] { 17, 18, 21 }.Where(opset => opset != c.Opset).Select(opset => c with { Opset = opset }))
            {
                if (GradientCheck.Loss(op, other) is not { } same || Math.Abs(same - loss) > 1e-5 * Math.Max(1, Math.Abs(loss))) continue;
                expected ??= GradientCheck.Gradients(op, c, _ => false);
                float[][] actual = GradientCheck.Gradients(op, other, _ => false);
                for (int i = 0; i < expected.Length; i++)
                    foreach (var (e, a) in expected[i].Zip(actual[i])) Assert.AreEqual(e, a, 1e-5f * Math.Max(1, Math.Abs(e)), $"{op} ({c.Note}), opset {c.Opset} and {other.Opset}: gradient {i}");
            }
        }
    }

    [TestMethod, DynamicData(nameof(Operators))]
    public void A_value_that_is_given_twice_has_both_gradients(string op)
    {
        foreach (GradientCase c in Some(op, 6))
        {
            Tensor?[] inputs = c.Inputs;
            int first = Array.FindIndex(inputs, t => t?.Type == ElementType.Float), second = first < 0 ? -1 : Array.FindIndex(inputs, first + 1, t => t?.Type == ElementType.Float && t.Dims.SequenceEqual(inputs[first]!.Dims));
            if (second < 0 || c.Vary?.Contains(first) == false || c.Vary?.Contains(second) == false) continue;
            GradientCase twice = c with { Note = $"{c.Note}: input {first} again as {second}", Twice = (second, first) };
            if (GradientCheck.Loss(op, twice) is null) continue;
            GradientCheck.Run(op, op is "Max" or "Min" ? twice with { Step = 1e-3f } : twice);
            return;
        }
    }

    /// <summary>No kernel is needed to see that numbers of two types meet in a node, or that a gradient has another type than its weight.</summary>
    [TestMethod, DynamicData(nameof(Operators))]
    public void Gradients_of_other_types_are_of_that_type_throughout(string op)
    {
        foreach (GradientCase c in Some(op, 4))
            foreach (ElementType type in new[] { ElementType.Float16, ElementType.BFloat16, ElementType.Double })
                Assert.AreEqual("", GradientCheck.TypesClash(op, c, type), $"{op} ({c.Note}) in {type}");
    }

    /// <summary>Some of an operator's cases: always the same ones, whatever else is in the table and in which order.</summary>
    private static IEnumerable<GradientCase> Some(string op, int most) =>
        GradientCases.Table[op].Where(c => !c.Dynamic && !(c.Vary is [])).OrderBy(c => Fingerprint(op, c), StringComparer.Ordinal).Take(most);

    /// <summary>A hash of all that makes a case: a note alone does not tell it from another group's.</summary>
    private static string Fingerprint(string op, GradientCase c)
    {
        var node = new Node(op, "", [], []);
        c.Attributes?.Invoke(node);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{op}: {c.Note}, {c.Outputs}, {c.Opset}, {string.Join(' ', node.Attributes.OrderBy(a => a.Key, StringComparer.Ordinal).Select(a => a.Value))}"));
        foreach (Tensor? input in c.Inputs)
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{input?.TensorType}"));
            if (input is not null) hash.AppendData(input.AsSpan<byte>());
        }
        return Convert.ToHexString(hash.GetHashAndReset());
    }
}
