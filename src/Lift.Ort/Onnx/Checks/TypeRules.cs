using System.Collections.Frozen;

namespace Lift.Ort.Onnx.Checks;

/// <summary>What operators ask of their inputs' element types.</summary>
internal static class TypeRules
{
    private static readonly FrozenSet<string> allAlike = Names("Add Sub Mul Div Mod Min Max Sum Mean MatMul Gemm Concat Equal Less Greater LessOrEqual GreaterOrEqual And Or Xor Conv ConvTranspose PRelu BitwiseAnd BitwiseOr BitwiseXor Einsum Range");
    private static readonly FrozenSet<string> floats = Names("Softmax LogSoftmax Tanh Sigmoid Exp Log Sqrt Sin Cos Gelu LayerNormalization SimplifiedLayerNormalization BatchNormalization Conv ConvTranspose GlobalAveragePool AveragePool Elu Selu Softplus HardSwish Dropout Reciprocal Ceil Floor Round");
    private static readonly FrozenSet<string> axisOfInput = Names("Softmax LogSoftmax Hardmax Concat Gather GatherElements ScatterElements Split TopK ArgMax ArgMin LpNormalization LayerNormalization CumSum");
    private static readonly FrozenSet<string> spatial = Names("Conv ConvTranspose InstanceNormalization MaxPool AveragePool LpPool GlobalMaxPool GlobalAveragePool GlobalLpPool");
    private static readonly FrozenSet<string> bools = Names("And Or Xor Not");

    private static readonly Dictionary<(string Operator, int Input), ElementType[]> fixedInputs = new()
    {
        [("Where", 0)] = [ElementType.Bool],
        [("If", 0)] = [ElementType.Bool],
        [("Reshape", 1)] = [ElementType.Int64],
        [("Expand", 1)] = [ElementType.Int64],
        [("Tile", 1)] = [ElementType.Int64],
        [("ConstantOfShape", 0)] = [ElementType.Int64],
        [("Unsqueeze", 1)] = [ElementType.Int64],
        [("Squeeze", 1)] = [ElementType.Int64],
        [("Split", 1)] = [ElementType.Int64],
        [("ReduceSum", 1)] = [ElementType.Int64],
        [("GatherND", 1)] = [ElementType.Int64],
        [("ScatterND", 1)] = [ElementType.Int64],
        [("Gather", 1)] = [ElementType.Int64, ElementType.Int32],
        [("GatherElements", 1)] = [ElementType.Int64, ElementType.Int32],
        [("ScatterElements", 1)] = [ElementType.Int64, ElementType.Int32],
        [("Slice", 1)] = [ElementType.Int64, ElementType.Int32],
        [("Slice", 2)] = [ElementType.Int64, ElementType.Int32],
        [("TopK", 1)] = [ElementType.Int64],
    };

    /// <summary>The clash as the rest of a sentence that begins with the node, or null.</summary>
    public static string? Clash(Graph graph, Node node)
    {
        (string Name, ElementType Type)[] inputs = [.. node.Inputs.Select(i => (i, i.Length > 0 ? graph.TypeOf(i).Element : ElementType.Undefined))];
        if (node.Domain.Length > 0) return null;
        if (allAlike.Contains(node.OpType) || node.OpType == "Where")
        {
            var known = inputs.Skip(node.OpType == "Where" ? 1 : 0).Where(i => i.Type != ElementType.Undefined).ToArray();
            foreach (var other in known.Skip(1))
            {
                if (other.Type != known[0].Type) return $"mixes {Word(known[0].Type)} ('{known[0].Name}') and {Word(other.Type)} ('{other.Name}'), but its inputs must have one type";
            }
        }
        for (int i = 0; i < inputs.Length; i++)
        {
            var (name, type) = inputs[i];
            if (type == ElementType.Undefined) continue;
            if (fixedInputs.TryGetValue((node.OpType, i), out var allowed) && !allowed.Contains(type)) return $"takes {string.Join(" or ", allowed.Select(Word))} as input {i}, but '{name}' is {Word(type)}";
            if (bools.Contains(node.OpType) && type != ElementType.Bool) return $"takes bool, but '{name}' is {Word(type)}";
            if (i == 0 && floats.Contains(node.OpType) && !type.IsFloat()) return $"takes floating-point numbers, but '{name}' is {Word(type)}";
        }
        return null;
    }

    /// <summary>Axes that the first input does not have, as the rest of a sentence, or null.</summary>
    public static string? AxisClash(Graph graph, Node node)
    {
        if (node.Domain.Length > 0 || node.Input(0) is not { } x) return null;
        int? rank = graph.TypeOf(x).Shape?.Rank;
        if (node.OpType == "Transpose" && node.Ints("perm") is { } perm && (!perm.Order().SequenceEqual(Enumerable.Range(0, perm.Length).Select(i => (long)i)) || (rank ?? perm.Length) != perm.Length))
            return $"has the perm [{string.Join(", ", perm)}], which is no order of the axes of '{x}' {graph.TypeOf(x).Shape}";
        if (rank < 3 && spatial.Contains(node.OpType)) return $"takes [batch, channels, …], but '{x}' is {graph.TypeOf(x).Shape}";
        if (axisOfInput.Contains(node.OpType) && node.Has("axis") && rank is { } r && node.Int("axis") is var axis && (axis < -r || axis >= r))
            return $"has the axis {axis}, but '{x}' has {r} dimensions";
        return null;
    }

    /// <summary>Dimensions that are numbers and do not fit, as the rest of a sentence, or null.</summary>
    public static string? ShapeClash(Graph graph, Node node)
    {
        if (node.Domain.Length > 0 || node.Inputs.Count < 2) return null;
        Shape? a = node.Input(0) is { } x ? graph.TypeOf(x).Shape : null, b = node.Input(1) is { } y ? graph.TypeOf(y).Shape : null;
        if (a is null || b is null) return null;
        bool clash = node.OpType switch
        {
            "MatMul" => a.Rank > 0 && b.Rank > 0 && Differ(a[-1], b[b.Rank == 1 ? 0 : -2]),
            "Gemm" => a.Rank != 2 || b.Rank != 2 || Differ(a[node.Int("transA") != 0 ? 0 : 1], b[node.Int("transB") != 0 ? 1 : 0]),
            "Conv" => a.Rank < 3 || a.Rank != b.Rank || (b[1].Value is { } c && Differ(a[1], c * node.Int("group", 1))),
            "Add" or "Sub" or "Mul" or "Div" or "Pow" or "Equal" or "Less" or "Greater" =>
                Enumerable.Range(1, Math.Min(a.Rank, b.Rank)).Any(i => Differ(a.Dims[^i], b.Dims[^i]) && a.Dims[^i].Value != 1 && b.Dims[^i].Value != 1),
            _ => false,
        };
        return clash ? $"cannot combine '{node.Inputs[0]}' {a} with '{node.Inputs[1]}' {b}" : null;
    }

    public static string Word(ElementType type) => type.ToString().ToLowerInvariant();

    private static bool Differ(Dim a, Dim b) => a.Value is { } x && b.Value is { } y && x != y;

    private static FrozenSet<string> Names(string names) => names.Split(' ').ToFrozenSet();
}
