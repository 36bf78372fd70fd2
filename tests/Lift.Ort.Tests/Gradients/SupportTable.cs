using System.Text;
using Lift.Ort.Gradients;
using Lift.Ort.Lowering;
using Lift.Ort.Lowering.ControlFlow;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Opsets;
using Lift.Ort.Operators;
using Lift.Ort.Tests.Lowering;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Writes docs/operators.md, and its short form in the README, from the rules, the lowerings, the kernels and the tables of cases.</summary>
internal static class SupportTable
{
    /// <summary>Opsets at which the standard operators have a form of their own, from ONNX's schemas.</summary>
    private static readonly Dictionary<string, int[]> forms = Schemas().GroupBy(s => s.Operator, s => s.Since).ToDictionary(g => g.Key, g => g.Order().ToArray());

    private static readonly Lazy<SupportRow[]> rows = new(() => [.. GradientRules.Operators.Concat(Lowerings.Operators).Distinct().Order(StringComparer.Ordinal).Select(Row)]);

    /// <summary>The operators with a gradient, those that are alike in one row.</summary>
    public static string Short()
    {
        var text = new StringBuilder("| operators (opsets with a form of their own) | domain | gradient | its nodes have kernels on the CPU | on CUDA | tested |\n| --- | --- | --- | --- | --- | --- |\n");
        foreach (var alike in rows.Value.GroupBy(r => (r.Domain, r.Gradient, Nodes: r.Needed.Length == 0 ? "ONNX Runtime's" : "here and ONNX Runtime's", r.Cuda, r.Tested)).OrderBy(g => g.Key.Domain, StringComparer.Ordinal).ThenByDescending(g => g.Count()))
            text.Append($"| {string.Join(", ", alike.Select(r => r.Opsets.Length > 0 ? $"{r.Operator} ({string.Join(", ", r.Opsets)})" : r.Operator))} | {alike.Key.Domain} | {alike.Key.Gradient} | {alike.Key.Nodes} | {alike.Key.Cuda} | {alike.Key.Tested} |\n");
        return text.ToString();
    }

    public static string Write()
    {
        var text = new StringBuilder($"""
            # Operators

            Written by `SupportTableTests` from the rules, the lowerings, the kernels and the tables of cases; `{SupportTableTests.HowToWrite}` writes it anew.
            Models of opset {OpsetConverter.Oldest} to {OpsetConverter.Newest} are read. An operator that stands between a weight and the loss and is in none of these tables is refused by `lift prepare`
            in one sentence that names the node, the operator and the weight; `lift inspect` names it too.

            ## With a gradient

            - *rule*: the gradient is appended to the graph. *lowered*: the operator is written out in operators with a rule first; the exported model keeps it.
            - CPU: which of ONNX Runtime's training operators the gradient needs beside standard ones; each has a kernel here. CUDA: *yes* where each of them has a CUDA kernel too (standard operators are ONNX Runtime's); what of it ran on a GPU the README says.
            - Quantized operators: weights, scales and zero points are frozen; the gradient passes to inputs and biases. Rounding counts as the identity (straight-through estimate), and what was clipped gets no
              gradient. QLinear operators are written out as the float operator between DequantizeLinear and QuantizeLinear; their outputs differ from ONNX Runtime's kernels by one step of the output's scale at most.
              `lift prepare --dequantize` makes their matrices float.
            - Tested: *differences*: central differences of the operator itself in ONNX Runtime, in float32 and, where there is a kernel, float64; again with random sizes, scalars and axes counted from the end where the operator takes them; with symbols for dimensions, with an empty batch and in the other opsets that have the form, the gradient is the same; graphs of 16 bits and of float64 mix no types; a NaN in dy reaches what depends on it and nothing else (`SpecialNumbersTests` lists the rules where it spreads), and special numbers, kinks and ties give PyTorch's gradients. Packed and integer operands (quantized weights) keep their numbers there, and a symbolic kernel size of Conv is refused. *forward*: the lowering against ONNX Runtime's kernel of the operator or a plain computation.

            | operator | domain | opsets with a form of their own | gradient | CPU | CUDA | tested |
            | --- | --- | --- | --- | --- | --- | --- |

            """);
        foreach (SupportRow r in rows.Value)
            text.AppendLine($"| {r.Operator} | {r.Domain} | {(r.Opsets.Length > 0 ? string.Join(", ", r.Opsets) : "–")} | {r.Gradient} | {(r.Needed.Length == 0 ? "standard operators" : string.Join(", ", r.Needed))} | {r.Cuda} | {r.Tested} |");
        text.AppendLine().AppendLine("## Where gradients stop").AppendLine();
        text.AppendLine("Their outputs are constant, integer or boolean in the weights: " + string.Join(", ", GradientRules.Constants.Select(Name)) + ".");
        text.AppendLine().AppendLine("## Training operators").AppendLine();
        text.AppendLine("ONNX Runtime's own, which artifacts hold (those of `lift prepare` and of `onnxruntime.training.artifacts.generate_artifacts`), with kernels here. Tested: each against a plain loop in double precision. *function*: the artifact brings a body of standard operators for builds without a kernel.");
        text.AppendLine().AppendLine("| operator | domain | CPU | CUDA | function |").AppendLine("| --- | --- | --- | --- | --- |");
        foreach (var s in TrainingOperators.Table.Where(s => s.Domain != Ort.Operators.OperatorSchema.OwnDomain).OrderBy(s => s.Name, StringComparer.Ordinal))
            text.AppendLine($"| {s.Name} | {(s.Domain.Length == 0 ? "ai.onnx" : s.Domain)} | yes | {(s.OnCuda ? "yes" : "no")} | {(FallbackFunctions.Names.Contains(s.Name) ? "yes" : "no")} |");
        text.AppendLine().AppendLine("## Folded away").AppendLine();
        text.AppendLine($"An If has the gradient of the branch that is taken; Loop and Scan have one where what they do is known before the run (up to {Unfolding.MaxSteps} steps), so have sequences and optional values whose elements are known: {string.Join(", ", Sequences.Operators.Order(StringComparer.Ordinal))}. Elsewhere they are refused.");
        text.AppendLine().AppendLine("Mixture of experts (MoE) is written out with every expert computed for every token, and the weight 0 for those that the router does not choose: right, and experts / k times the work in training.");
        text.AppendLine().AppendLine("## Refused").AppendLine();
        foreach (var reason in Refusals.Reasons.GroupBy(r => r.Value, r => r.Key).OrderBy(g => g.Min(StringComparer.Ordinal), StringComparer.Ordinal))
            text.AppendLine($"- {string.Join(", ", reason.Select(r => $"`{r}`").Order(StringComparer.Ordinal))}: {reason.Key}.");
        text.AppendLine().AppendLine("Every operator that ONNX (opset 11 to 24) or ONNX Runtime 1.21 registers is in one of these lists; `VerdictTests` fails by the name of one that is not.");
        return text.ToString().ReplaceLineEndings("\n");
    }

    private static SupportRow Row(string op)
    {
        bool rule = GradientRules.Has(op), lowered = Lowerings.Has(op);
        string[] needed = [.. Emitted(op)];
        string[] lacking = [.. needed.Where(n => !TrainingOperators.Table.Single(s => s.Name == n).OnCuda)];
        return new(Name(op), Domain(op), Domain(op) == "ai.onnx" ? forms.GetValueOrDefault(op, []) : [], rule && lowered ? "rule, lowered" : rule ? "rule" : "lowered", needed,
            lacking.Length == 0 ? "yes" : "no: " + string.Join(", ", lacking), rule ? "differences" : LoweringCases.Table.ContainsKey(op) ? "differences, forward" : "models");
    }

    /// <summary>The training operators that the gradients of an operator's cases hold.</summary>
    private static SortedSet<string> Emitted(string op)
    {
        var emitted = new SortedSet<string>(StringComparer.Ordinal);
        GradientCase[] cases = GradientCases.Table.GetValueOrDefault(op) ?? LoweringCases.Table.GetValueOrDefault(op) ?? [];
        foreach (GradientCase c in cases)
        {
            var (graph, loss) = GradientCheck.Forward(op, c);
            if (Lowerings.Has(op)) graph = LoweredGraph.Of(graph);
            int forward = graph.Nodes.Count;
            string[] varied = [.. c.Inputs.Select((t, i) => (t, i)).Where(p => p.t?.Type.IsFloat() == true && c.Vary?.Contains(p.i) != false).Select(p => $"x{p.i}")];
            BackwardPass.Run(graph, loss, varied);
            emitted.UnionWith(graph.Nodes.Skip(forward).Select(n => n.OpType).Where(n => TrainingOperators.Table.Any(s => s.Name == n)));
        }
        return emitted;
    }

    private static string Domain(string op) => op.Contains('.') ? op[..op.LastIndexOf('.')] : "ai.onnx";

    private static string Name(string op) => op[(op.LastIndexOf('.') + 1)..];

    private static IEnumerable<(string Operator, int Since)> Schemas()
    {
        using Stream stream = typeof(Graph).Assembly.GetManifestResourceStream("Lift.Ort.Onnx.Checks.operators.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { Length: > 0 } line)
        {
            string[] parts = line.Split(' ');
            if (int.TryParse(parts[1], out int since)) yield return (parts[0], since);
        }
    }
}

/// <summary>What is said of one operator with a gradient.</summary>
/// <param name="Opsets">Opsets at which it has a form of its own; empty outside the standard domain.</param>
/// <param name="Needed">Training operators that its gradient holds beside standard ones.</param>
internal sealed record SupportRow(string Operator, string Domain, int[] Opsets, string Gradient, string[] Needed, string Cuda, string Tested);
