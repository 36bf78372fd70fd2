using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

/// <summary>Whether a node must give a parameter, may leave it out, or may repeat it.</summary>
internal enum Presence
{
    Required,
    Optional,
    Variadic,
}

/// <summary>One input or output, written <c>"weight?: T"</c>.</summary>
internal sealed record Parameter(string Name, string Type, Presence Presence)
{
    public static Parameter Parse(string text)
    {
        string[] parts = text.Split(": ");
        string name = parts[0].TrimEnd('?', '*');
        Presence presence = parts[0][^1] switch { '?' => Presence.Optional, '*' => Presence.Variadic, _ => Presence.Required };
        return new Parameter(name, parts[1], presence);
    }
}

/// <summary>
/// The signature of an operator in ONNX Runtime's own words, and how a node of it becomes a kernel. Parameters are written
/// <c>name: type</c>, with <c>?</c> after an optional and <c>*</c> after a repeated name; a type is an element type of ONNX or a variable:
/// T (float or double), I and L (int64 or int32), S (all four), V (those and bool), any.
/// </summary>
internal sealed class OperatorSchema(string name, string[] inputs, string[] outputs, Func<NodeAttributes, OperatorKernel> create)
{
    private static readonly Dictionary<string, ElementType[]> variables = new()
    {
        ["T"] = [ElementType.Float, ElementType.Double],
        ["I"] = [ElementType.Int64, ElementType.Int32],
        ["L"] = [ElementType.Int64, ElementType.Int32],
        ["S"] = [ElementType.Float, ElementType.Double, ElementType.Int64, ElementType.Int32],
        ["V"] = [ElementType.Float, ElementType.Double, ElementType.Int64, ElementType.Int32, ElementType.Bool],
        ["any"] = [ElementType.Undefined], // ONNX Runtime's word for: every type
        ["float"] = [ElementType.Float],
        ["int64"] = [ElementType.Int64],
        ["bool"] = [ElementType.Bool],
    };

    public string Name { get; } = name;

    /// <summary>The domain of operators that only our own sessions put into a graph, when they open.</summary>
    public const string OwnDomain = "lift.ort";

    /// <summary>com.microsoft or <see cref="OwnDomain"/>.</summary>
    public string Domain { get; init; } = "com.microsoft";

    public Parameter[] Inputs { get; } = [.. inputs.Select(Parameter.Parse)];

    public Parameter[] Outputs { get; } = [.. outputs.Select(Parameter.Parse)];

    public Func<NodeAttributes, OperatorKernel> Create { get; } = create;

    /// <summary>The input, 0 or 1, whose memory the first output may take where nobody reads that input afterwards.</summary>
    public int? InPlace { get; init; }

    /// <summary>True: the first output is the first input's memory, always.</summary>
    public bool Aliased { get; init; }

    /// <summary>Every choice of element types, as ONNX Runtime wants them: one operator per choice.</summary>
    public IEnumerable<OperatorOverload> Overloads()
    {
        IEnumerable<Dictionary<string, ElementType>> choices = [[]];
        foreach (string type in Inputs.Concat(Outputs).Select(p => p.Type).Distinct())
            choices = [.. choices.SelectMany(c => variables[type].Select(t => new Dictionary<string, ElementType>(c) { [type] = t }))];
        return choices.Select(c => new OperatorOverload(this, [.. Inputs.Select(p => c[p.Type])], [.. Outputs.Select(p => c[p.Type])]));
    }

    public override string ToString() => $"{Domain}.{Name}";
}

/// <summary>A schema with its type variables decided.</summary>
internal sealed record OperatorOverload(OperatorSchema Schema, ElementType[] InputTypes, ElementType[] OutputTypes);
