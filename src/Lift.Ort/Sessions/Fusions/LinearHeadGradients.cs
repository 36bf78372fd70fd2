using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>What the gradient of a linear layer's result goes into: the products that make the gradients of its hidden rows and its weight, and the sum that makes its bias's.</summary>
internal sealed class LinearHeadGradients
{
    private readonly FusionGraph graph;
    private readonly LinearHead head;
    private readonly Dim classes;

    private LinearHeadGradients(FusionGraph graph, LinearHead head, Dim classes) => (this.graph, this.head, this.classes) = (graph, head, classes);

    /// <summary>The node that makes hidden's gradient, [.., K]; null where nobody wants it.</summary>
    public NodeProto? Hidden { get; private set; }

    /// <summary>The node that makes the weight's gradient, in the weight's own layout.</summary>
    public NodeProto? Weight { get; private set; }

    /// <summary>The node that makes the bias's gradient, [C].</summary>
    public NodeProto? Bias { get; private set; }

    public IEnumerable<NodeProto> All => new[] { Hidden, Weight, Bias }.OfType<NodeProto>();

    /// <summary>Follows the gradient [N, C] of the layer's result to everything that reads it; null where that is anything else.</summary>
    public static LinearHeadGradients? Match(FusionGraph graph, LinearHead head, string gradient)
    {
        if (graph.Types.ShapeOf(gradient) is not { Rank: 2 } rows) return null;
        var found = new LinearHeadGradients(graph, head, rows[-1]);
        var open = new Stack<(string Value, bool Turned, double Factor, bool BehindTanh)>([(gradient, false, 1, head.Tanh is null)]);
        while (open.TryPop(out var at))
        {
            if (graph.IsOutput(at.Value)) return null;
            foreach (NodeProto reader in graph.Readers(at.Value))
            {
                if (MatrixOperand.Swapped(graph, reader)) open.Push(at with { Value = reader.Output[0], Turned = !at.Turned });
                else if (!at.Turned && reader.Input[0] == at.Value && LinearHead.Before(graph, reader, casts: true) is not null && LinearHead.IsRowsOf(graph, reader.Output[0], found.classes)) open.Push(at with { Value = reader.Output[0] });
                else if (LinearHead.Factor(graph, reader) is var (scaled, factor) && scaled == at.Value) open.Push(at with { Value = reader.Output[0], Factor = at.Factor * factor });
                else if (!at.BehindTanh && reader.OpType == "TanhGrad" && reader.Input[0] == at.Value && reader.Input[1] == head.Tanh) open.Push(at with { Value = reader.Output[0], BehindTanh = true });
                else if (!at.BehindTanh || !found.Take(reader, at.Value, at.Turned, at.Factor)) return null;
            }
        }
        return found;
    }

    private bool Take(NodeProto reader, string value, bool turned, double factor)
    {
        if (reader.OpType == "ReduceSum") return !turned && IsScale(factor) && TakeBias(reader, value);
        if (LinearProduct.Of(graph, reader) is not { Bias: null } product || !IsScale(factor * product.Alpha)) return false;
        bool isLeft = product.Left.Value == value;
        if (isLeft == (product.Right.Value == value)) return false;
        MatrixOperand other = (isLeft ? product.Right : product.Left).Root(graph);
        if ((isLeft ? product.Left : product.Right).Turned) turned = !turned;
        if (isLeft && !turned) return TakeHidden(reader, other);
        // dzᵀ·x is [C, K], xᵀ·dz is [K, C]
        if (isLeft != turned || other.Turned == isLeft || graph.Types.ShapeOf(value) is not { Rank: 2 } || !IsHidden(other.Value)) return false;
        return TakeWeight(reader, byClass: isLeft);
    }

    private bool TakeHidden(NodeProto product, MatrixOperand weight)
    {
        if (Hidden is not null || weight.Value != head.Weight || weight.Turned == head.Turned) return false;
        Hidden = product;
        return true;
    }

    private bool TakeWeight(NodeProto product, bool byClass)
    {
        if (Weight is not null) return false;
        Weight = product;
        if (byClass == head.Turned) return true;
        if (graph.IsOutput(product.Output[0]) || graph.Readers(product.Output[0]) is not [var turn] || !MatrixOperand.Swapped(graph, turn)) return false;
        Weight = turn;
        return true;
    }

    /// <summary>A sum over everything but the classes.</summary>
    private bool TakeBias(NodeProto sum, string value)
    {
        if (Bias is not null || head.Bias is null || graph.Types.ShapeOf(value) is not { } shape || graph.Types.ShapeOf(sum.Output[0]) is not { } result) return false;
        long[]? axes = sum.Input.Count > 1 ? graph.Integers(sum.Input[1]) : [.. sum.Attribute.FirstOrDefault(a => a.Name == "axes")?.Ints ?? []];
        bool others = axes is not null && axes.Select(a => a < 0 ? a + shape.Rank : a).Order().SequenceEqual(Enumerable.Range(0, shape.Rank - 1).Select(i => (long)i));
        if (!others) return false;
        if (result.Rank == 1)
        {
            Bias = sum;
            return true;
        }
        if (graph.IsOutput(sum.Output[0]) || graph.Readers(sum.Output[0]) is not [var view] || LinearHead.Before(graph, view, casts: false) is null || graph.Types.ShapeOf(view.Output[0]) is not { Rank: 1 }) return false;
        Bias = view;
        return true;
    }

    /// <summary>True for the layer's input, or for it as a matrix of rows.</summary>
    private bool IsHidden(string value) => graph.Types.ShapeOf(value) is { Rank: 2 } rows && LinearHead.IsRowsOf(graph, head.Hidden, rows[-1]) && Whole(value) == Whole(head.Hidden);

    private string Whole(string value)
    {
        while (graph.Maker(value) is { } node && LinearHead.Before(graph, node, casts: false) is { } before) value = before;
        return value;
    }

    private bool IsScale(double factor) => Math.Abs(factor - head.Factors) <= 1e-5 * Math.Abs(head.Factors);
}
