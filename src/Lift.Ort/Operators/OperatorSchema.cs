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
/// T (float or double; on a GPU float, float16 or bfloat16), N (float16 or bfloat16), U (double with T double, else float), I and L (int64 or int32), S (T and I), V (those and bool), any.
/// </summary>
internal sealed class OperatorSchema(string name, string[] inputs, string[] outputs, Func<NodeAttributes, OperatorKernel> create)
{
    private static readonly Dictionary<string, ElementType[]> variables = new()
    {
        ["T"] = [ElementType.Float, ElementType.Double],
        ["N"] = [ElementType.Float16, ElementType.BFloat16],
        ["I"] = [ElementType.Int64, ElementType.Int32],
        ["L"] = [ElementType.Int64, ElementType.Int32],
        ["S"] = [ElementType.Float, ElementType.Double, ElementType.Int64, ElementType.Int32],
        ["V"] = [ElementType.Float, ElementType.Double, ElementType.Int64, ElementType.Int32, ElementType.Bool],
        ["any"] = [ElementType.Undefined], // ONNX Runtime's word for: every type
        ["float"] = [ElementType.Float],
        ["int64"] = [ElementType.Int64],
        ["int32"] = [ElementType.Int32],
        ["uint8"] = [ElementType.UInt8],
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

    /// <summary>True: its kernel has a half for CUDA (<see cref="ICudaKernel"/>).</summary>
    public bool OnCuda { get; init; }

    /// <summary>Inputs that the CUDA half reads on the host: shapes, axes, flags.</summary>
    public int[] HostInputs { get; init; } = [];

    /// <summary>Every choice of element types, as ONNX Runtime wants them: one operator per choice.</summary>
    public IEnumerable<OperatorOverload> Overloads() => Choices(variables).Select(c => Overload(c, null));

    /// <summary>The same for a GPU: its half for float32, float16 and bfloat16 where there is one; the CPU's half for double, or for everything.</summary>
    public IEnumerable<OperatorOverload> Overloads(Devices.Cuda.CudaDevice device)
    {
        if (!OnCuda) return Overloads();
        IEnumerable<OperatorOverload> own = Choices(CudaTypes()).Select(c => Overload(c, device));
        return own.Concat(Choices(variables).Where(c => c.ContainsValue(ElementType.Double)).Select(c => Overload(c, null)));
    }

    private static Dictionary<string, ElementType[]> CudaTypes()
    {
        ElementType[] floats = [ElementType.Float, ElementType.Float16, ElementType.BFloat16], integers = [ElementType.Int64, ElementType.Int32];
        return new(variables) { ["T"] = floats, ["S"] = [.. floats, .. integers], ["V"] = [.. floats, .. integers, ElementType.Bool] };
    }

    private IEnumerable<Dictionary<string, ElementType>> Choices(Dictionary<string, ElementType[]> types)
    {
        IEnumerable<Dictionary<string, ElementType>> choices = [[]];
        foreach (string type in Inputs.Concat(Outputs).Select(p => p.Type).Where(t => t != "U").Distinct())
            choices = [.. choices.SelectMany(c => types[type].Select(t => new Dictionary<string, ElementType>(c) { [type] = t }))];
        return choices;
    }

    private OperatorOverload Overload(Dictionary<string, ElementType> types, Devices.Cuda.CudaDevice? device)
    {
        types["U"] = types.GetValueOrDefault("T") == ElementType.Double ? ElementType.Double : ElementType.Float;
        return new OperatorOverload(this, [.. Inputs.Select(p => types[p.Type])], [.. Outputs.Select(p => types[p.Type])], device);
    }

    public override string ToString() => $"{Domain}.{Name}";
}

/// <summary>A schema with its type variables decided.</summary>
/// <param name="Device">The GPU whose half this is; null: the CPU's.</param>
internal sealed record OperatorOverload(OperatorSchema Schema, ElementType[] InputTypes, ElementType[] OutputTypes, Devices.Cuda.CudaDevice? Device = null);
