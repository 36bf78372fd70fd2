using System.Text.RegularExpressions;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Lowering.Decoders;

/// <summary>Finds out what a decoder's inputs beside tokens and masks are: lengths of past and text, places in the cache, and how the cache is written.</summary>
internal static partial class DecoderInputs
{
    /// <summary>Inputs of operators that carry a length.</summary>
    private static readonly Dictionary<(string Operator, int Input), InputRole> lengths = new()
    {
        [("com.microsoft.GroupQueryAttention", 5)] = InputRole.LastIndex,
        [("com.microsoft.GroupQueryAttention", 6)] = InputRole.TotalLength,
        [("com.microsoft.MultiHeadAttention", 8)] = InputRole.PastLength,
        [("com.microsoft.DecoderMaskedMultiHeadAttention", 7)] = InputRole.PastLength,
        [("com.microsoft.Attention", 6)] = InputRole.PastLength,
        [("Attention", 6)] = InputRole.TotalLength,
        [("TensorScatter", 2)] = InputRole.PastLength,
    };

    /// <summary>Inputs of operators that take a cache and know from elsewhere how much of it is filled.</summary>
    private static readonly HashSet<(string Operator, int Input)> measured = [("com.microsoft.GroupQueryAttention", 3), ("com.microsoft.GroupQueryAttention", 4)];

    /// <summary>Operators behind which a value is still the same numbers.</summary>
    private static readonly HashSet<string> passing = ["Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Flatten", "Expand"];

    /// <summary>Who reads a value, and as which of its inputs.</summary>
    private sealed record Reader(string Operator, int Input, Node Node)
    {
        /// <summary>True where the length may be that of something else than the text itself.</summary>
        public bool HasPast => Operator != "com.microsoft.GroupQueryAttention" || Enumerable.Range(0, Node.Inputs.Count).Any(i => measured.Contains((Operator, i)) && Node.Input(i) is not null);
    }

    /// <summary>The inputs of a graph with their roles.</summary>
    /// <param name="inputs">Those of the graph, as the graph or a session describes them.</param>
    public static IReadOnlyList<GraphValue> Marked(Graph graph, IReadOnlyList<GraphValue> inputs)
    {
        bool cached = inputs.Any(CacheEntry.IsPast);
        if (!cached && !inputs.Any(IsNumber)) return inputs;
        ILookup<string, Reader> readers = Readers(graph);
        return [.. inputs.Select(i => i with { Role = CacheEntry.IsPast(i) ? OfCache(i, readers) : IsNumber(i) ? OfNumber(i, readers, cached) : InputRole.None })];
    }

    /// <summary>The same without looking at readers: by names alone.</summary>
    public static IReadOnlyList<GraphValue> Marked(IReadOnlyList<GraphValue> inputs) => Marked(new Graph(), inputs);

    /// <summary>Tokens that a text may have where the cache is a buffer of fixed length, in training too; null elsewhere.</summary>
    public static long? LongestText(Graph graph) => CacheEntry.Find(Marked(graph, graph.Inputs), []).Where(e => e.Past.Role == InputRole.Buffer).Min(e => e.FirstLength);

    /// <summary>True for lengths and places.</summary>
    public static bool IsCounting(GraphValue input) => input.Role is InputRole.PastLength or InputRole.NewLength or InputRole.TotalLength or InputRole.LastIndex or InputRole.Places;

    /// <summary>Whole numbers, one or one for each row or token.</summary>
    private static bool IsNumber(GraphValue input) => input.Type is { Element: ElementType.Int64 or ElementType.Int32, Rank: 0 or 1 or 2 } type
        && (type.Rank < 2 || type.Shape![1].Value == 1) && input.Name is not ("input_ids" or "attention_mask" or "position_ids" or "token_type_ids") && EmptyCache.Choice(input) is null;

    private static InputRole OfNumber(GraphValue input, ILookup<string, Reader> readers, bool cached)
    {
        foreach (Reader reader in Reached(input.Name, readers))
            if (lengths.TryGetValue((reader.Operator, reader.Input), out InputRole role) && (cached || !reader.HasPast)) return role;
        if (!cached) return InputRole.None;
        string name = input.Name.ToLowerInvariant();
        return PlacesName().IsMatch(name) && input.Type.Rank == 1 ? InputRole.Places
            : LastName().IsMatch(name) ? InputRole.LastIndex
            : PastName().IsMatch(name) ? InputRole.PastLength
            : TotalName().IsMatch(name) ? InputRole.TotalLength
            : NewName().IsMatch(name) ? InputRole.NewLength : InputRole.None;
    }

    private static InputRole OfCache(GraphValue cache, ILookup<string, Reader> readers)
    {
        var reached = Reached(cache.Name, readers).Where(r => !passing.Contains(r.Operator) && r.Operator != "Shape").ToList();
        if (reached.Count > 0 && reached.All(r => measured.Contains((r.Operator, r.Input)))) return InputRole.Measured;
        bool written = reached.Any(r => r is { Operator: "ScatterND" or "ScatterElements" or "Scatter" or "TensorScatter", Input: 0 });
        if (written) return InputRole.Buffer;
        bool isFixed = cache.Type.Shape is { } shape && shape.Dims.Skip(1).All(d => d.IsKnown) && CacheEntry.IsOfTokens(cache.Name);
        if (!isFixed) return InputRole.None;
        return reached.Any(r => r.Operator == "Concat") || reached.Any(r => r.Operator.Contains("Attention", StringComparison.Ordinal)) ? InputRole.Window : reached.Count > 0 ? InputRole.Buffer : InputRole.None;
    }

    /// <summary>The readers of a value, those behind operators that only pass it on among them.</summary>
    private static IEnumerable<Reader> Reached(string name, ILookup<string, Reader> readers)
    {
        var seen = new HashSet<string>();
        var open = new Queue<string>([name]);
        while (open.TryDequeue(out string? value))
        {
            if (!seen.Add(value)) continue;
            foreach (var reader in readers[value])
            {
                yield return reader;
                if (reader.Input == 0 && passing.Contains(reader.Operator)) open.Enqueue(reader.Node.Outputs[0]);
            }
        }
    }

    /// <summary>Who reads what, subgraphs included.</summary>
    private static ILookup<string, Reader> Readers(Graph graph)
    {
        IEnumerable<Node> All(IEnumerable<Node> nodes) => nodes.SelectMany(n => n.Attributes.Count == 0 ? [n] : n.Subgraphs.SelectMany(g => All(g.Node.Select(Node.Of))).Prepend(n));
        return All(graph.Nodes).SelectMany(n => n.Inputs.Select((x, i) => (Name: x, Reader: new Reader(n.Operator, i, n)))).ToLookup(r => r.Name, r => r.Reader);
    }

    [GeneratedRegex(@"^(cache_positions?|input_pos(itions?)?|cache_indices|kv_(write_)?(positions?|indices))$")]
    private static partial Regex PlacesName();

    [GeneratedRegex(@"^seq_?lens?_k$")]
    private static partial Regex LastName();

    [GeneratedRegex(@"^(past_?(kv_|key_values_)?(seq(uence)?_?)?len(gth)?s?|(kv_)?cache_(seq(uence)?_?)?len(gth)?s?|step|start_pos|cur(rent)?_pos|write_(index|indices|idx)|cache_index|kv_len)$")]
    private static partial Regex PastName();

    [GeneratedRegex(@"^(total_?(seq(uence)?_?)?len(gth)?s?|(nonpad_)?kv_seq_?len(gth)?s?|key_total_sequence_lengths)$")]
    private static partial Regex TotalName();

    [GeneratedRegex(@"^((cur(rent)?|new|query|input)_)?(seq(uence)?_?)len(gth)?s?$")]
    private static partial Regex NewName();
}
