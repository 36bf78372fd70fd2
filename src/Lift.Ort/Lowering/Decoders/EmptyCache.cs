using Google.Protobuf;
using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Decoders;

/// <summary>Takes the cache out of a decoder's interface: pasts are empty tensors (states are zeros), presents are no outputs, the branch without a past is the one taken.</summary>
internal static class EmptyCache
{
    /// <summary>Inputs that choose among ways to run: false, or 0, means the whole text at once, with all its scores.</summary>
    private static readonly HashSet<string> choices = ["use_cache_branch", "use_cache", "num_logits_to_keep", "logits_to_keep"];

    /// <summary>True where <see cref="Fill"/> has something to do.</summary>
    public static bool IsNeeded(Graph graph) => graph.Inputs.Exists(i => CacheEntry.IsPast(i) || IsChoice(i)) || DecoderInputs.Marked(graph, graph.Inputs).Any(DecoderInputs.IsCounting);

    /// <summary>Changes the interface of <paramref name="graph"/>, whose nodes are being put in again, and gives the nodes that make the empty pasts.</summary>
    /// <param name="keepPresent">True leaves the presents among the outputs.</param>
    /// <param name="source">The same graph, whole.</param>
    public static void Fill(Graph graph, Graph source, bool keepPresent)
    {
        GraphValue[] marked = [.. DecoderInputs.Marked(source, graph.Inputs)];
        graph.Inputs.Clear();
        graph.Inputs.AddRange(marked);
        GraphValue[] counts = [.. marked.Where(DecoderInputs.IsCounting)];
        IReadOnlyList<CacheEntry> cache = CacheEntry.Find(graph.Inputs, graph.Outputs);
        GraphValue[] chosen = [.. graph.Inputs.Where(IsChoice)];
        GraphValue? reference = CacheEntry.ReferenceInput([.. graph.Inputs.Except(counts)]);
        graph.Inputs.RemoveAll(i => counts.Contains(i) || chosen.Contains(i) || cache.Any(c => c.Past == i));
        if (!keepPresent && graph.Outputs.Count > cache.Count) graph.Outputs.RemoveAll(o => cache.Any(c => c.Present == o.Name));
        foreach (GraphValue choice in chosen)
        {
            Tensor tensor = Choice(choice)!;
            graph.Initializers.Add(choice.Name, tensor);
            graph.Buffers.Add(choice.Name);
            graph.Types[choice.Name] = tensor.TensorType;
        }
        if (cache.Count > 0) FitCompanions(graph, reference, cache);
        ShapeInference.InferInputs(graph);
        foreach (CacheEntry entry in cache) AddEmpty(graph, entry, reference);
        foreach (GraphValue count in counts) LengthInputs.Add(graph, count, reference);
    }

    private static bool IsChoice(GraphValue input) => choices.Contains(input.Name) && input.Type is { Rank: null or 0 or 1, Element: ElementType.Bool or ElementType.Int64 or ElementType.Int32 } && input.Type.Shape?.Dims.All(d => d.Value is null or 1) != false;

    /// <summary>Masks and positions that reached over past and present now have the length of the text; those over a buffer keep the buffer's.</summary>
    private static void FitCompanions(Graph graph, GraphValue? reference, IReadOnlyList<CacheEntry> cache)
    {
        if (reference?.Type.Shape is not { Rank: >= 2 } text) return;
        Dim whole = cache.FirstOrDefault(c => c.Past.Role == InputRole.Buffer)?.FirstLength is { } all ? all : text[1];
        long? window = cache.FirstOrDefault(c => c.Past.Role == InputRole.Window)?.FirstLength;
        for (int i = 0; i < graph.Inputs.Count; i++)
        {
            GraphValue input = graph.Inputs[i];
            if (input is { Name: "attention_mask", Type.Shape: { Rank: >= 2 } over } && window is not null && over[-1].Value == window + text[1].Value)
                graph.Inputs[i] = input = input with { Type = input.Type with { Shape = new Shape([.. over.Dims[..^1], text[1]]) } };
            if (input.Name is "attention_mask" or "attn_mask" or "causal_mask" or "attention_bias" or "mask" && input.Type.Shape is { Rank: 3 or 4 } queries)
                graph.Inputs[i] = input with { Type = input.Type with { Shape = new Shape([.. queries.Dims[..^2], queries[-2].IsKnown ? queries[-2] : text[1], queries[-1].IsKnown ? queries[-1] : whole]) } };
            if (input.Name is not ("attention_mask" or "position_ids" or "token_type_ids") || input.Type.Shape is not { Rank: 2 } shape) continue;
            Dim Fit(int axis) => shape[axis].IsKnown ? shape[axis] : text[axis];
            graph.Inputs[i] = input with { Type = input.Type with { Shape = new Shape(Fit(0), Fit(1)) } };
        }
    }

    /// <summary>What an input that chooses among ways to run is without a past, or with one; null for other inputs.</summary>
    public static Tensor? Choice(GraphValue input, bool hasPast = false)
    {
        if (!IsChoice(input)) return null;
        long[] dims = [.. (input.Type.Shape?.Dims ?? []).Select(d => d.Value ?? 1)];
        return input.Type.Element switch
        {
            ElementType.Bool => Tensor.From<bool>(input.Name, [hasPast], dims),
            ElementType.Int32 => Tensor.From<int>(input.Name, [0], dims),
            _ => Tensor.From<long>(input.Name, [0], dims),
        };
    }

    /// <summary>[batch, heads, 0, dim]: the batch is that of the tokens; a dimension that the file leaves open counts nothing in an empty tensor.</summary>
    private static void AddEmpty(Graph graph, CacheEntry entry, GraphValue? reference)
    {
        string name = entry.Past.Name;
        string? outer = graph.Scope;
        graph.Scope = name;
        Var batch = reference is null ? graph.Longs(1) : graph.Var(reference.Name).ShapeOf().Slice(0, 1, 0);
        int rank = entry.Past.Type.Rank ?? 4;
        Var[] dims = [.. Enumerable.Range(0, rank).Select(i => i == entry.PastAxis && entry.Past.Role != InputRole.Buffer ? graph.Longs(0)
            : i == entry.PastAxis && entry.FirstLength is null && reference is not null ? graph.Var(reference.Name).ShapeOf().Slice(1, 2, 0)
            : entry.Past.Type.Shape?[i].Value is { } size ? graph.Longs(size) : i == entry.BatchAxis ? batch : graph.Longs(0))];
        Var shape = graph.Concat(0, dims);
        graph.Scope = outer;
        ElementType type = entry.Past.Type.Element == ElementType.Undefined ? ElementType.Float : entry.Past.Type.Element;
        var zero = new TensorProto { DataType = (int)type, RawData = ByteString.CopyFrom(new byte[Math.Max(1, type.Bits() / 8)]) };
        zero.Dims.Add(1);
        var node = new Node("ConstantOfShape", "", [shape.Name], [name], name);
        graph.Nodes.Add(node.Set(new() { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor, T = zero }));
        ShapeInference.Infer(graph, node);
    }
}
