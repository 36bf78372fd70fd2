using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>Connectionist temporal classification (Graves et al. 2006), in the log domain and in standard operators only.</summary>
public static partial class Losses
{
    private const double Never = -1e30; // ln 0, kept finite so that differences are numbers

    /// <summary>
    /// Mean over rows of −ln p(labels) / number of labels, p summed over every way to spread the labels over the time steps with repeats and blanks. A row whose
    /// labels do not fit into its time counts 0. The scores are [batch, time, classes] before the softmax; every time step counts, or as many of each row as <c>Lengths</c> says.
    /// </summary>
    /// <remarks>
    /// α and β, the probabilities of all beginnings and all ends, come from two Scans without a gradient; together they say how often each class stands at each
    /// time step (the occupancy o), and d(−ln p)/d ln y = −o. The loss is therefore −Σ o ln y with o held constant, plus the constant that makes its value right.
    /// </remarks>
    private static Var Ctc(LossGraph l)
    {
        if (l.Scores.Rank is not 3) throw l.Refuse("[batch, time, classes]");
        if (l.Scores.Shape![-1].Value is { } classes && l.Options.Blank >= classes) throw new LiftException($"--blank is {l.Options.Blank}, but '{l.Scores.Name}' has the classes 0 to {classes - 1}.");
        Graph g = l.Graph;
        Var y = g.Add("LogSoftmax", [l.Scores], n => n.With("axis", -1L)), still = y.Detach(); // [N, T, C]
        Var? sounding = l.Options.Lengths is { } name ? Sounding(l, name) : null; // [N, T, 1]
        if (sounding is { } within) still = within.Where(still, Silence(l)); // beyond its end a row can only be blank, with certainty: the paths' probabilities are those at its end
        Var counted = l.Labels.EqualTo(g.Scalar(Ignore, ElementType.Int64)).Not().Cast(ElementType.Int64); // [N, L]
        Var length = counted.ReduceSum([1]); // [N, 1]
        Var path = WithBlanks(l, counted); // [N, S], S = 2 L + 1: blank, label, blank, label, …, blank
        Var states = path.ShapeOf().Slice(1, 2, 0);
        Var index = g.Add("Range", [g.Scalar(0, ElementType.Int64), states.Squeeze(0), g.Scalar(1, ElementType.Int64)]).Unsqueeze(0); // [1, S]

        Var picks = path.Unsqueeze(1).Expand(g.Concat(0, y.ShapeOf().Slice(0, 2, 0), states)); // [N, T, S]
        Var emitted = g.Add("GatherElements", [still, picks], n => n.With("axis", 2L)).Transpose(1, 0, 2); // [T, N, S]
        Var skips = Skips(l, path);
        Var end = length * g.Scalar(2, ElementType.Int64); // [N, 1]: the place of the last blank
        Var first = AtPlace(index.EqualTo(g.Scalar(0, ElementType.Int64)), end), last = AtPlace(index.EqualTo(end), end);

        Var alpha = Walk(g, first, skips, emitted, backwards: false);
        Var later = g.Concat(1, skips.Slice(2, long.MaxValue, 1), Fill(skips.ShapeOf(), Never, 2));
        Var beta = Turned(Walk(g, Turned(last), Turned(later), Turned(emitted), backwards: true));

        Var atEnd = alpha.Slice(-1, long.MaxValue, 0).Squeeze(0) + AtPlace(g.Add("Or", [index.EqualTo(end), index.EqualTo(end - g.Scalar(1, ElementType.Int64))]), end);
        Var total = LogSum(atEnd); // [N, 1] = ln p
        Var possible = g.Add("Greater", [total, total.Like(Never / 2)]).Cast(ElementType.Float);
        Var share = (alpha + beta - emitted - total.Unsqueeze(0)).Exp().Transpose(1, 0, 2); // [N, T, S]
        Var occupancy = g.Add("ScatterElements", [still * 0, picks, share], n => n.With("axis", 2L).With("reduction", "add")).Detach();
        if (sounding is { } part) occupancy *= part.Cast(ElementType.Float);

        Var weight = possible / g.Add("Max", [length, g.Scalar(1, ElementType.Int64)]).Cast(ElementType.Float); // [N, 1]
        Var surrogate = -(occupancy * y).ReduceSum([1, 2], keepDims: false).Unsqueeze(1);
        Var value = (-g.Add("Max", [total, total.Like(Never / 2)]) - surrogate).Detach() + surrogate;
        return MeanOfAll(value * weight);
    }

    /// <summary>True for the time steps that count: [N, T, 1].</summary>
    private static Var Sounding(LossGraph l, string lengths)
    {
        Graph g = l.Graph;
        if (!g.Inputs.Exists(i => i.Name == lengths) && !g.Initializers.ContainsKey(lengths) && !g.Nodes.Exists(n => n.Outputs.Contains(lengths)))
        {
            g.Inputs.Add(new(lengths, new(ElementType.Int64, l.Scores.Shape is { Rank: 3 } s ? new Shape(s[0]) : null)));
            g.Types[lengths] = g.Inputs[^1].Type;
        }
        Var steps = g.Add("Range", [g.Scalar(0, ElementType.Int64), l.Scores.ShapeOf().Slice(1, 2, 0).Squeeze(0), g.Scalar(1, ElementType.Int64)]);
        return g.Add("Less", [steps.Unsqueeze(0), g.Var(lengths).Cast(ElementType.Int64).Reshape(-1, 1)]).Unsqueeze(2);
    }

    /// <summary>ln 1 for the blank and ln 0 for everything else: [C].</summary>
    private static Var Silence(LossGraph l)
    {
        Graph g = l.Graph;
        Var classes = g.Add("Range", [g.Scalar(0, ElementType.Int64), l.Scores.ShapeOf().Slice(2, 3, 0).Squeeze(0), g.Scalar(1, ElementType.Int64)]);
        return classes.EqualTo(g.Scalar(l.Options.Blank, ElementType.Int64)).Where(g.Scalar(0, ElementType.Float), g.Scalar(Never, ElementType.Float));
    }

    private static Var WithBlanks(LossGraph l, Var counted)
    {
        Graph g = l.Graph;
        Var blank = g.Scalar(l.Options.Blank, ElementType.Int64);
        Var labels = counted.Cast(ElementType.Bool).Where(l.Labels, blank);
        Var blanks = blank.Expand(labels.ShapeOf());
        Var pairs = g.Concat(2, blanks.Unsqueeze(2), labels.Unsqueeze(2)).Reshape(g.Concat(0, labels.ShapeOf().Slice(0, 1, 0), g.Longs(-1)));
        return g.Concat(1, pairs, blank.Expand(g.Concat(0, labels.ShapeOf().Slice(0, 1, 0), g.Longs(1))));
    }

    /// <summary>0 where a path may come from two places before (a label, other than the one before it), ln 0 elsewhere; [N, S].</summary>
    private static Var Skips(LossGraph l, Var path)
    {
        Graph g = l.Graph;
        Var two = path.Slice(2, long.MaxValue, 1), before = path.Slice(0, -2, 1);
        Var may = g.Add("And", [two.EqualTo(g.Scalar(l.Options.Blank, ElementType.Int64)).Not(), two.EqualTo(before).Not()]);
        return g.Concat(1, Fill(path.ShapeOf(), Never, 2), may.Where(g.Scalar(0, ElementType.Float), g.Scalar(Never, ElementType.Float)));
    }

    /// <summary>ln 1 where the condition holds, ln 0 elsewhere; one row for each row of <paramref name="rows"/>.</summary>
    private static Var AtPlace(Var condition, Var rows)
    {
        Graph g = condition.Graph;
        return condition.Where(g.Scalar(0, ElementType.Float), g.Scalar(Never, ElementType.Float)) + rows.Cast(ElementType.Float) * 0;
    }

    /// <summary>A constant of [rows of <paramref name="shape"/>, width].</summary>
    private static Var Fill(Var shape, double value, long width) => shape.Graph.Concat(0, shape.Slice(0, 1, 0), shape.Graph.Longs(width)).Filled((float)value);

    /// <summary>The last axis the other way round.</summary>
    private static Var Turned(Var x)
    {
        Graph g = x.Graph;
        return g.Add("Slice", [x, g.Longs(-1), g.Longs(long.MinValue), g.Longs(-1), g.Longs(-1)]);
    }

    /// <summary>ln Σ eˣ over the last axis of [N, S], which stays as 1.</summary>
    private static Var LogSum(Var x)
    {
        Var max = x.Graph.Opset >= 18
            ? x.Graph.Add("ReduceMax", [x, x.Graph.Longs(1)], n => n.With("keepdims", 1L))
            : x.Graph.Add("ReduceMax", [x], n => n.With("axes", [1L]).With("keepdims", 1L));
        return (x - max).Exp().ReduceSum([1]).Log() + max;
    }

    /// <summary>aₜ(s) = ln(e^aₜ₋₁(s) + e^aₜ₋₁(s−1) + e^(aₜ₋₁(s−2) + skip(s))) + eₜ(s) for all t: [T, N, S].</summary>
    private static Var Walk(Graph g, Var start, Var skips, Var emitted, bool backwards)
    {
        var body = new Graph { Opset = g.Opset, IrVersion = g.IrVersion, Name = "ctc" };
        foreach (string name in (string[])["a", "skip", "e"])
        {
            body.Inputs.Add(new(name, new(ElementType.Float, new("rows", "states"))));
            body.Types[name] = body.Inputs[^1].Type;
        }
        Var a = body.Var("a"), one = Shifted(a, 1), two = Shifted(a, 2) + body.Var("skip");
        Var max = body.Add("Max", [a, one, two]);
        Var next = ((a - max).Exp() + (one - max).Exp() + (two - max).Exp()).Log() + max + body.Var("e");
        foreach (Var output in (Var[])[next, body.Var("skip").Identity(), next.Identity()]) body.Outputs.Add(new(output.Name, new(ElementType.Float, new("rows", "states"))));

        long direction = backwards ? 1 : 0;
        Var[] results = g.AddMany("Scan", 3, [start, skips, emitted], n =>
        {
            n.Set(new() { Name = "body", Type = AttributeProto.Types.AttributeType.Graph, G = Prefixed(Onnx.Writing.GraphWriter.ToModel(body).Graph, g.NewName("ctc")) });
            n.With("num_scan_inputs", 1L).With("scan_input_directions", [direction]).With("scan_output_directions", [direction]);
        });
        g.Types[results[2].Name] = emitted.Type;
        return results[2];
    }

    /// <summary>Names of a body must not be those of the graph around it.</summary>
    private static GraphProto Prefixed(GraphProto body, string prefix)
    {
        foreach (NodeProto node in body.Node)
        {
            for (int i = 0; i < node.Input.Count; i++) node.Input[i] = $"{prefix}.{node.Input[i]}";
            for (int i = 0; i < node.Output.Count; i++) node.Output[i] = $"{prefix}.{node.Output[i]}";
        }
        foreach (ValueInfoProto value in body.Input.Concat(body.Output)) value.Name = $"{prefix}.{value.Name}";
        foreach (TensorProto constant in body.Initializer) constant.Name = $"{prefix}.{constant.Name}";
        return body;
    }

    /// <summary>Everything <paramref name="by"/> places further, ln 0 in front.</summary>
    private static Var Shifted(Var a, long by) =>
        a.Graph.Add("Pad", [a, a.Graph.Longs(0, by, 0, 0), a.Graph.Scalar(Never, ElementType.Float)]).Slice(0, -by, 1);
}
