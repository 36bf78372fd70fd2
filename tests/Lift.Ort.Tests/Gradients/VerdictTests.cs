using Lift.Ort.Gradients;
using Lift.Ort.Lowering;
using Lift.Ort.Lowering.ControlFlow;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Gradients;

/// <summary>
/// What becomes of every operator of ONNX (opset 11 to 24) and of ONNX Runtime: it has a rule, is written out, stops gradients, is folded where it is known before the
/// run, or is refused with a reason. A name of the schema file in none of these tables, or in two, fails by its name.
/// </summary>
[TestClass]
public sealed class VerdictTests
{
    private static readonly (string Name, Func<string, bool> Has)[] tables =
    [
        ("rule", GradientRules.Has), ("lowering", Lowerings.Has), ("no gradient", GradientRules.IsConstant), ("refused", op => Refusals.Of(op) is not null),
        ("folded", op => op is "If" or "Loop" or "Scan" || Sequences.Operators.Contains(op)),
    ];

    [TestMethod]
    public void Every_operator_of_the_schema_file_has_one_verdict()
    {
        string[] wrong = [.. Names().Select(op => (op, In: tables.Where(t => t.Has(op)).Select(t => t.Name).ToArray())).Where(v => v.In.Length != 1)
            .Select(v => $"{v.op}: {(v.In.Length == 0 ? "in no table" : string.Join(" and ", v.In))}")];
        Assert.AreEqual("", string.Join('\n', wrong));
    }

    [TestMethod]
    public void Every_reason_says_what_to_do()
    {
        foreach (var (op, reason) in Refusals.Reasons) Assert.IsTrue(reason.Contains("; ", StringComparison.Ordinal) && !reason.EndsWith('.'), $"{op}: '{reason}' names no way out");
    }

    private static string[] Names()
    {
        using Stream stream = typeof(Graph).Assembly.GetManifestResourceStream("Lift.Ort.Onnx.Checks.operators.txt")!;
        using var reader = new StreamReader(stream);
        return [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')[0]).Distinct()];
    }
}
