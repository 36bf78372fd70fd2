using Google.Protobuf;
using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Decoders;

/// <summary>Takes the cache out of a decoder's interface: pasts are empty tensors (states are zeros), presents are no outputs, the branch without a past is the one taken.</summary>
internal static class EmptyCache
{
    /// <summary>Inputs that choose among ways to run, with the value that means the whole text at once, without a past.</summary>
    private static readonly Dictionary<string, double> choices = new()
    {
        ["use_cache_branch"] = 0, ["use_cache"] = 0, ["num_logits_to_keep"] = 0, ["logits_to_keep"] = 0, ["past_sequence_length"] = 0, ["past_length"] = 0,
    };

    /// <summary>True where <see cref="Fill"/> has something to do.</summary>
    public static bool IsNeeded(Graph graph) => graph.Inputs.Exists(i => CacheEntry.IsPast(i) || IsChoice(i));

    /// <summary>Changes the interface of <paramref name="graph"/>, whose nodes are being put in again, and gives the nodes that make the empty pasts.</summary>
    /// <param name="keepPresent">True leaves the presents among the outputs.</param>
    public static void Fill(Graph graph, bool keepPresent)
    {
        IReadOnlyList<CacheEntry> cache = CacheEntry.Find(graph.Inputs, graph.Outputs);
        GraphValue[] chosen = [.. graph.Inputs.Where(IsChoice)];
        GraphValue? reference = CacheEntry.ReferenceInput(graph.Inputs);
        graph.Inputs.RemoveAll(i => chosen.Contains(i) || cache.Any(c => c.Past == i));
        if (!keepPresent && graph.Outputs.Count > cache.Count) graph.Outputs.RemoveAll(o => cache.Any(c => c.Present == o.Name));
        foreach (GraphValue choice in chosen)
        {
            long[] dims = [.. (choice.Type.Shape?.Dims ?? []).Select(d => d.Value ?? 1)];
            Add(graph, choice.Name, choice.Type.Element, dims, choices[choice.Name]);
        }
        if (cache.Count > 0) FitCompanions(graph, reference);
        ShapeInference.InferInputs(graph);
        foreach (CacheEntry entry in cache) AddEmpty(graph, entry, reference);
    }

    private static bool IsChoice(GraphValue input) => choices.ContainsKey(input.Name) && input.Type.Rank is null or <= 1 && input.Type.Element is ElementType.Bool or ElementType.Int64 or ElementType.Int32;

    /// <summary>Masks and positions that reached over past and present now have the length of the text.</summary>
    private static void FitCompanions(Graph graph, GraphValue? reference)
    {
        if (reference?.Type.Shape is not { Rank: >= 2 } text) return;
        for (int i = 0; i < graph.Inputs.Count; i++)
        {
            GraphValue input = graph.Inputs[i];
            if (input.Name is not ("attention_mask" or "position_ids" or "token_type_ids") || input.Type.Shape is not { Rank: 2 } shape) continue;
            Dim Fit(int axis) => shape[axis].IsKnown ? shape[axis] : text[axis];
            graph.Inputs[i] = input with { Type = input.Type with { Shape = new Shape(Fit(0), Fit(1)) } };
        }
    }

    private static void Add(Graph graph, string name, ElementType type, long[] dims, double value)
    {
        Tensor tensor = type switch
        {
            ElementType.Bool => Tensor.From<bool>(name, [.. Enumerable.Repeat(value != 0, (int)dims.Aggregate(1L, (n, d) => n * d))], dims),
            ElementType.Int32 => Tensor.From<int>(name, [.. Enumerable.Repeat((int)value, (int)dims.Aggregate(1L, (n, d) => n * d))], dims),
            _ => Tensor.From<long>(name, [.. Enumerable.Repeat((long)value, (int)dims.Aggregate(1L, (n, d) => n * d))], dims),
        };
        graph.Initializers.Add(name, tensor);
        graph.Buffers.Add(name);
        graph.Types[name] = tensor.TensorType;
    }

    /// <summary>[batch, heads, 0, dim]: the batch is that of the tokens; a dimension that the file leaves open counts nothing in an empty tensor.</summary>
    private static void AddEmpty(Graph graph, CacheEntry entry, GraphValue? reference)
    {
        string name = entry.Past.Name;
        string? outer = graph.Scope;
        graph.Scope = name;
        Var batch = reference is null ? graph.Longs(1) : graph.Var(reference.Name).ShapeOf().Slice(0, 1, 0);
        int rank = entry.Past.Type.Rank ?? 4;
        Var[] dims = [.. Enumerable.Range(0, rank).Select(i => i == entry.PastAxis ? graph.Longs(0)
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
