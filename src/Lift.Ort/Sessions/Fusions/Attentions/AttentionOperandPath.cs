using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions.Fusions.Attentions;

/// <summary>
/// An operand on its way towards where it comes from, with its gradient beside it: transpositions, scales and the repetition of grouped heads become part of the operator, where the
/// backward pass undoes them in the same order.
/// </summary>
/// <param name="division">Letters of the leading axes as the operator shall see them; null: as the operand has them.</param>
internal sealed class AttentionOperandPath(FusionGraph graph, Lettered operand, string letters, Gradient? gradient, string? division = null)
{
    private string letters = letters;

    public Lettered Operand { get; private set; } = operand;

    public Gradient? Gradient { get; private set; } = gradient;

    /// <summary>What the scores are multiplied with because of scales that the operand had.</summary>
    public double Scale { get; private set; } = 1;

    /// <summary>True where heads were repeated.</summary>
    public bool IsGrouped { get; private set; }

    public long[] Order => Operand.OrderOf(letters)!;

    /// <summary>True where operand and gradient lie in the same order, so that one operator can read the one and write the other.</summary>
    public bool Agrees => (division is null || letters[..^2] == division) && (Gradient is null || Gradient.Value.Term == Operand.Term);

    /// <summary>Goes as far as both sides allow.</summary>
    public AttentionOperandPath Follow(bool scales)
    {
        while (Summed() || Transposed() || (scales && Scaled()) || Regrouped() || Repeated())
        {
        }
        if (!Agrees && NextTranspose(Gradient!) is { } turned && turned.Value.Term == Operand.Term) Gradient = turned;
        return this;
    }

    /// <summary>ReduceSum over axes along which the operand serves several matrices: the operator sums them up itself.</summary>
    private bool Summed()
    {
        if (Gradient is null || Gradient.Value.Term != Operand.Term || OnlyReader(Gradient) is not { OpType: "ReduceSum" } sum || FusionGraph.Int(sum, "keepdims", 1) != 1) return false;
        if (sum.Input.Count < 2 || graph.Types.Longs(sum.Input[1]) is not { Length: > 0 } axes || graph.Types.ShapeOf(Operand.Value) is not { } shape) return false;
        if (axes.Any(a => a < -shape.Rank || a >= shape.Rank || shape[(int)a].Value != 1)) return false;
        Gradient = new(Gradient.Value with { Value = sum.Output[0] }, sum);
        return true;
    }

    private bool Transposed()
    {
        if (MatrixProduct.Before(graph, Operand) is not var (before, _)) return false;
        if (Gradient is not null && Gradient.Value.Term != before.Term)
        {
            if (NextTranspose(Gradient) is not { } turned || turned.Value.Term != before.Term) return false;
            Gradient = turned;
        }
        Operand = before;
        return true;
    }

    private bool Scaled()
    {
        if (graph.Maker(Operand.Value) is not { Domain.Length: 0, OpType: "Mul" or "Div" } node || Factor(node) is not var (input, factor)) return false;
        if (Gradient is not null)
        {
            if (Gradient.Value.Term != Operand.Term || OnlyReader(Gradient) is not { OpType: "Mul" or "Div" } next || Factor(next) is not var (from, same) || from != Gradient.Value.Value || Math.Abs(same - factor) > 1e-6 * Math.Abs(factor)) return false;
            Gradient = new(Gradient.Value with { Value = next.Output[0] }, next);
        }
        Scale *= factor;
        Operand = Operand with { Value = input };
        return true;
    }

    /// <summary>Reshape of a value that has the wanted leading axes; the gradient is reshaped back.</summary>
    private bool Regrouped()
    {
        if (division is null || letters[..^2] == division || graph.Maker(Operand.Value, "Reshape") is not { } reshape || graph.Types.ShapeOf(reshape.Input[0]) is not { } before || graph.Types.ShapeOf(Operand.Value) is not { } after) return false;
        if (Operand.Term[..^2] != letters[..^2] || before.Rank != division.Length + 2 || !before[-1].SameAs(after[-1]) || !before[-2].SameAs(after[-2])) return false;
        string term = division + Operand.Term[^2..];
        if (Gradient is not null)
        {
            if (Gradient.Value.Term != Operand.Term || OnlyReader(Gradient) is not { OpType: "Reshape" } back) return false;
            if (graph.Maker(back.Input[1], "Shape")?.Input[0] != reshape.Input[0] && graph.Types.ShapeOf(back.Output[0])?.SameAs(before) != true) return false;
            Gradient = new(new(back.Output[0], term), back);
        }
        (Operand, letters) = (new(reshape.Input[0], term), division + letters[^2..]);
        return true;
    }

    /// <summary>x · c or x / c with one number c.</summary>
    private (string Input, double Factor)? Factor(NodeProto node)
    {
        if (graph.Types.Scalar(node.Input[1]) is { } second) return (node.Input[0], node.OpType == "Mul" ? second : 1 / second);
        return node.OpType == "Mul" && graph.Types.Scalar(node.Input[0]) is { } first ? (node.Input[1], first) : null;
    }

    /// <summary>Reshape(Expand(Unsqueeze(x))) or with Tile: each head several times, one behind the other; the gradient is summed over the repeats.</summary>
    private bool Repeated()
    {
        if (letters.Length < 3 || !Agrees || graph.Maker(Operand.Value, "Reshape") is not { } reshape || graph.Maker(reshape.Input[0]) is not { OpType: "Expand" or "Tile" } expand) return false;
        if (graph.Maker(expand.Input[0]) is not { OpType: "Unsqueeze" or "Reshape" } unsqueeze) return false;
        string source = unsqueeze.Input[0];
        int heads = Operand.Term.IndexOf(letters[^3]);
        if (graph.Types.ShapeOf(source) is not { } before || graph.Types.ShapeOf(unsqueeze.Output[0]) is not { } apart || graph.Types.ShapeOf(Operand.Value) is not { } after) return false;
        if (before.Rank != after.Rank || apart.Rank != after.Rank + 1 || apart[heads + 1].Value != 1 || before[heads].Value is not { } few || after[heads].Value is not { } many || few == 0 || many % few != 0) return false;
        if (!new Shape([.. apart.Dims.RemoveAt(heads + 1)]).SameAs(before) || graph.Types.ShapeOf(expand.Output[0]) is not { } repeated || repeated[heads].Value != few || repeated[heads + 1].Value != many / few) return false;
        for (int i = 0; i < before.Rank; i++) if (i != heads && !before[i].SameAs(after[i])) return false;
        if (Gradient is not null)
        {
            if (Summed(source, before) is not { } sum) return false;
            Gradient = new(Gradient.Value with { Value = sum.Output[0] }, sum);
        }
        (Operand, IsGrouped) = (Operand with { Value = source }, true);
        return true;
    }

    /// <summary>The node with which the gradient has the shape of what was repeated.</summary>
    private NodeProto? Summed(string source, Shape shape)
    {
        bool summed = false;
        Gradient at = Gradient!;
        for (int i = 0; i < 5 && OnlyReader(at) is { OpType: "Reshape" or "ReduceSum" or "Squeeze" or "Unsqueeze" or "Identity" } node; i++)
        {
            summed |= node.OpType == "ReduceSum";
            at = new(at.Value with { Value = node.Output[0] }, node);
            bool named = node.OpType == "Reshape" && graph.Maker(node.Input[1], "Shape")?.Input[0] == source;
            if (summed && (named || graph.Types.ShapeOf(node.Output[0])?.SameAs(shape) == true)) return node;
        }
        return null;
    }

    private Gradient? NextTranspose(Gradient from) => OnlyReader(from) is { OpType: "Transpose" } node ? new(MatrixProduct.After(node, from.Value), node) : null;

    private NodeProto? OnlyReader(Gradient from) => !graph.IsOutput(from.Value.Value) && graph.Readers(from.Value.Value) is [var only] ? only : null;
}
