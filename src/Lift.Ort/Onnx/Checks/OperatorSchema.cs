using System.Collections.Frozen;
using System.Globalization;
using AttributeType = Onnx.AttributeProto.Types.AttributeType;

namespace Lift.Ort.Onnx.Checks;

/// <summary>
/// What an operator takes: numbers of inputs and outputs, and its attributes. Source: the schemas that ONNX (opsets 11 to 24) and ONNX Runtime 1.21 register
/// (<c>operators.txt</c>, written by tools/reference/schemas).
/// </summary>
/// <param name="Since">The opset from which this form holds, until the next form of the same operator.</param>
internal sealed record OperatorSchema(string Operator, int Since, int LeastInputs, int MostInputs, int LeastOutputs, int MostOutputs, FrozenDictionary<string, (AttributeType Type, bool Required)> Attributes)
{
    private static readonly FrozenDictionary<string, OperatorSchema[]> table = Read();

    /// <summary>Domains other than the standard one whose operators ONNX Runtime brings along.</summary>
    private static readonly FrozenSet<string> domains =
        new[] { "com.microsoft", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft.nchwc", "com.ms.internal.nhwc", "ai.onnx.contrib", "org.pytorch.aten" }.ToFrozenSet();

    /// <summary>True for a standard operator of some opset, and for everything of a domain that ONNX Runtime brings along.</summary>
    public static bool Known(Node node) => node.Domain.Length == 0 ? table.ContainsKey(node.OpType) : domains.Contains(node.Domain);

    /// <summary>How <paramref name="node"/> departs from its operator's schema, as the rest of a sentence that begins with the node; null where it does not.</summary>
    /// <param name="opset">The model's opset of the standard operators. ONNX Runtime's own operators gain inputs and attributes without a new version, so only what they need at least is checked.</param>
    public static string? Clash(Node node, int opset)
    {
        bool standard = node.Domain.Length == 0;
        if (!table.TryGetValue(node.Operator, out OperatorSchema[]? forms)) return null;
        if ((standard ? Array.FindLast(forms, f => f.Since <= opset) : forms[^1]) is not { } form)
            return $"is an operator of opset {forms[0].Since} and later, but the model declares opset {opset}";
        int inputs = Given(node.Inputs), outputs = Given(node.Outputs);
        if (inputs < form.LeastInputs || (standard && inputs > form.MostInputs)) return $"takes {Count(form.LeastInputs, form.MostInputs, "input")}, but has {inputs}";
        if (outputs < form.LeastOutputs || (standard && outputs > form.MostOutputs)) return $"has {Count(form.LeastOutputs, form.MostOutputs, "output")}, but lists {outputs}";
        foreach (var (name, attribute) in node.Attributes)
        {
            if (!form.Attributes.TryGetValue(name, out var expected))
            {
                if (standard && !name.StartsWith("__", StringComparison.Ordinal)) return $"has the attribute '{name}', which opset {opset} does not know for it";
            }
            else if (attribute.Type != expected.Type && attribute.Type != AttributeType.Undefined) // files of IR version 1 and 2 say no type
            {
                return $"has the attribute '{name}' as {attribute.Type.ToString().ToLowerInvariant()} where {expected.Type.ToString().ToLowerInvariant()} belongs";
            }
        }
        return form.Attributes.FirstOrDefault(a => a.Value.Required && !node.Has(a.Key)).Key is { } missing ? $"lacks its attribute '{missing}'" : null;
    }

    /// <summary>Absent ones at the end do not count.</summary>
    private static int Given(List<string> names) => names.FindLastIndex(n => n.Length > 0) + 1;

    private static string Count(int least, int most, string noun) =>
        least == most ? $"{least} {noun}{(least == 1 ? "" : "s")}" : most == int.MaxValue ? $"at least {least} {noun}{(least == 1 ? "" : "s")}" : $"{least} to {most} {noun}s";

    private static FrozenDictionary<string, OperatorSchema[]> Read()
    {
        using Stream stream = typeof(OperatorSchema).Assembly.GetManifestResourceStream("Lift.Ort.Onnx.Checks.operators.txt")!;
        using var reader = new StreamReader(stream);
        var forms = new List<OperatorSchema>();
        while (reader.ReadLine() is { Length: > 0 } line) forms.Add(Parse(line.Split(' ')));
        return forms.GroupBy(f => f.Operator).ToFrozenDictionary(g => g.Key, g => g.ToArray());
    }

    private static OperatorSchema Parse(string[] words) => new(words[0], Number(words[1]), Number(words[2]), Number(words[3]), Number(words[4]), Number(words[5]),
        words.Skip(6).Select(a => a.Split(':')).ToFrozenDictionary(a => a[0], a => (Enum.Parse<AttributeType>(a[1].TrimEnd('!'), ignoreCase: true), a[1].EndsWith('!'))));

    private static int Number(string word) => word == "*" ? int.MaxValue : int.Parse(word, CultureInfo.InvariantCulture);
}
