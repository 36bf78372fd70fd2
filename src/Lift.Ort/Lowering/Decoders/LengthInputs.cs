using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Decoders;

/// <summary>Computes what a decoder is told of lengths and places where no past is: the text is all there is.</summary>
internal static class LengthInputs
{
    /// <summary>Appends the nodes that make <paramref name="input"/>, which is no input of the graph any more: 0 for a past, the text's length for the rest, per row the tokens that the mask counts.</summary>
    /// <exception cref="LiftException">The model has no tokens that tell how long the text is.</exception>
    public static void Add(Graph graph, GraphValue input, GraphValue? reference)
    {
        if (reference?.Type.Rank is not >= 2) throw new LiftException($"The input '{input.Name}' {input.Type} is a length, and no input of tokens [batch, sequence] tells what it is; export the model with input_ids.");
        string? outer = graph.Scope;
        graph.Scope = input.Name;
        Var dims = graph.Var(reference.Name).ShapeOf(), batch = dims.Slice(0, 1, 0), length = dims.Slice(1, 2, 0);
        bool perRow = input.Type.Rank is 1 or 2 && input.Type.Shape![0].Value != 1;
        Var value = input.Role switch
        {
            InputRole.Places => graph.Add("Range", [graph.Scalar(0, ElementType.Int64), length.Squeeze(0), graph.Scalar(1, ElementType.Int64)]),
            InputRole.PastLength => perRow ? graph.Longs(0).Expand(batch) : graph.Longs(0),
            InputRole.TotalLength or InputRole.LastIndex when perRow => Counted(graph, batch, length),
            _ => perRow ? length.Expand(batch) : length,
        };
        if (input.Role == InputRole.LastIndex) value -= graph.Longs(1);
        if (input.Type.Rank == 0) value = value.Squeeze(0);
        if (input.Type.Rank == 2) value = value.Unsqueeze(1);
        value = value.Cast(input.Type.Element);
        graph.Scope = outer;
        var node = new Node("Identity", "", [value.Name], [input.Name], input.Name);
        graph.Nodes.Add(node);
        ShapeInference.Infer(graph, node);
    }

    /// <summary>Tokens of each row: those that the mask shows, else all.</summary>
    private static Var Counted(Graph graph, Var batch, Var length) => graph.Inputs.Find(i => i is { Name: "attention_mask", Type.Rank: 2 }) is { } mask
        ? graph.Var(mask.Name).Cast(ElementType.Int64).ReduceSum([1], keepDims: false)
        : length.Expand(batch);
}
