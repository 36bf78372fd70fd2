namespace Lift.Ort.Onnx;

/// <summary>Gives dimensions that a file leaves open a size, so that what depends on them (branches, repetitions, shapes) is known before the run.</summary>
public static class FixedDims
{
    /// <summary>A copy of <paramref name="source"/> in which the inputs' open dimensions have the sizes given; <paramref name="source"/> itself where none is given.</summary>
    /// <param name="sizes">By symbol ("sequence_length"), or by input and axis from 0 ("input_ids.1").</param>
    /// <exception cref="LiftException">No open dimension has such a name, or a size is below 1.</exception>
    public static Graph Apply(Graph source, IReadOnlyDictionary<string, long> sizes)
    {
        if (sizes.Count == 0) return source;
        var left = sizes.Keys.ToHashSet();
        foreach (var (name, size) in sizes)
            if (size < 1) throw new LiftException($"--dim {name}={size} is no size; give 1 or more.");
        long? Size(GraphValue input, int axis)
        {
            Dim dim = input.Type.Shape![axis];
            string? name = dim.IsKnown ? null : dim.Symbol is { } symbol && sizes.ContainsKey(symbol) ? symbol : sizes.ContainsKey($"{input.Name}.{axis}") ? $"{input.Name}.{axis}" : null;
            if (name is not null) left.Remove(name);
            return name is null ? null : sizes[name];
        }

        Graph graph = source.Clone();
        for (int i = 0; i < graph.Inputs.Count; i++)
        {
            GraphValue input = graph.Inputs[i];
            if (input.Type.Shape is { } shape) graph.Inputs[i] = input with { Type = input.Type with { Shape = new Shape([.. shape.Dims.Select((d, axis) => Size(input, axis) is { } size ? size : d)]) } };
        }
        if (left.Count > 0) throw new LiftException($"--dim '{left.First()}' is no open dimension of the model's inputs; there are: {Open(source)}.");
        for (int i = 0; i < graph.Outputs.Count; i++)
        {
            GraphValue output = graph.Outputs[i];
            if (output.Type.Shape is { } shape) graph.Outputs[i] = output with { Type = output.Type with { Shape = new Shape([.. shape.Dims.Select(d => d.Symbol is { } s && sizes.TryGetValue(s, out long size) ? size : d)]) } };
        }
        graph.Types.Clear();
        graph.Contents.Clear();
        ShapeInference.Infer(graph);
        return graph;
    }

    /// <summary>The open dimensions as one names them.</summary>
    private static string Open(Graph graph)
    {
        string[] names = [.. graph.Inputs.SelectMany(i => (i.Type.Shape?.Dims ?? []).Select((d, axis) => (d, Name: d.Symbol ?? $"{i.Name}.{axis}"))).Where(d => !d.d.IsKnown).Select(d => d.Name).Distinct()];
        return names.Length > 0 ? string.Join(", ", names) : "none";
    }
}
