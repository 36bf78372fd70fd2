using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Inference;

namespace Lift.Ort.Gradients;

/// <summary>Undoes ONNX's multidirectional broadcasting: sums a gradient back to the shape of the input it belongs to.</summary>
internal static class Broadcasting
{
    /// <summary>Sums <paramref name="gradient"/> over the axes along which <paramref name="input"/> was repeated; adds nothing where the shapes are certainly equal.</summary>
    public static Var SumTo(Var gradient, Var input)
    {
        if (gradient.Shape is not { } from || input.Shape is not { } to) return SumToAtRunTime(gradient, input);
        if (from.SameAs(to)) return gradient;
        int extra = from.Rank - to.Rank;
        if (extra < 0) throw new LiftException($"'{input.Name}' {input.Type} does not fit the value that it is part of, {from}: the model's shapes contradict each other; export it again.");
        var axes = new List<long>();
        for (int i = 0; i < from.Rank; i++)
        {
            Dim have = from[i], want = i < extra ? 1 : to[i - extra];
            if (DimMath.AreSameSide(have, want)) continue;
            if (want.Value == 1) axes.Add(i);
            else if (want.Value is null) return SumToAtRunTime(gradient, input); // it may turn out to be 1
        }
        for (int i = 0; i < extra; i++) if (!axes.Contains(i)) axes.Add(i);
        axes.Sort();
        Var sum = axes.Count == 0 ? gradient : gradient.ReduceSum([.. axes]);
        return extra == 0 ? sum : extra == axes.Count && extra == from.Rank ? sum.Reshape([]) : sum.Squeeze([.. Enumerable.Range(0, extra).Select(i => (long)i)]);
    }

    /// <summary>The same for shapes known only when the graph runs: compares both shapes there, sums where they differ.</summary>
    private static Var SumToAtRunTime(Var gradient, Var input)
    {
        Graph g = gradient.Graph;
        Var from = gradient.ShapeOf(), to = input.ShapeOf();
        Var aligned = g.Concat(0, g.Add("Expand", [g.Longs(1), from.ShapeOf() - to.ShapeOf()]), to);
        // An axis of 1 in front keeps the list of axes from being empty, which runtimes read in different ways.
        Var axes = g.Concat(0, g.Longs(0), g.Add("NonZero", [aligned.EqualTo(from).Not()]).Reshape(-1) + g.Longs(1));
        Var sum = g.Add("ReduceSum", [gradient.Unsqueeze(0), axes], n => n.With("keepdims", 1L)).Reshape(to);
        g.Types[sum.Name] = input.Type with { Element = gradient.Element };
        return sum;
    }
}
