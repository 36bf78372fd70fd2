using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Gradients;

/// <summary>What holds for every rule, checked over the whole table of cases.</summary>
[TestClass]
public sealed class RulePropertiesTests
{
    /// <summary>Rules that need a dimension, or a rank, in numbers, and refuse in one sentence where it is a symbol.</summary>
    private static readonly HashSet<string> mayRefuse = ["Conv", "ConvTranspose"];

    /// <summary>Operators with packed or integer operands, which are initializers with numbers for dimensions; <c>QuantizedRunTests</c> has a symbolic batch.</summary>
    private static readonly HashSet<string> packed = ["DequantizeLinear", "com.microsoft.DequantizeLinear", "com.microsoft.MatMulNBits", "DynamicQuantizeLinear", "MatMulInteger"];

    /// <summary>Operators whose float64 kernel rounds to float32 on the way.</summary>
    private static readonly HashSet<string> rounding = ["Shrink", "GroupNormalization"];

    public static IEnumerable<object[]> Operators => GradientRules.Operators.Select(op => new object[] { op });

    [TestMethod, DynamicData(nameof(Operators))]
    public void Gradient_is_the_same_where_dimensions_are_symbols(string op)
    {
        if (packed.Contains(op)) return;
        foreach (GradientCase c in GradientCases.Table[op].Where(c => !c.Inputs.Any(t => t is { Count: 0 }))) // Reshape reads a 0 that is found at run time as "the same"
        {
            float[][] expected = GradientCheck.Gradients(op, c, _ => false);
            foreach (bool all in new[] { false, true })
            {
                try
                {
                    float[][] symbolic = GradientCheck.Gradients(op, c, i => all || i == 0);
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
        foreach (GradientCase c in GradientCases.Table[op])
        {
            if (!GradientCheck.RunDouble(op, c)) Assert.Inconclusive($"ONNX Runtime has no float64 kernel on the processor for {op} ({c.Note})");
        }
    }
}
