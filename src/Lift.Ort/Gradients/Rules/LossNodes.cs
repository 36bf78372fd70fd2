using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of losses that are nodes of the model; where ONNX Runtime has a training operator, the rule is that one node. No gradient goes to labels and class weights.</summary>
internal static class LossNodes
{
    /// <summary>loss, log p = cross-entropy of [N, C, …] scores with class weights w ⇒ dscores = (p − onehot(label)) w[label] · dloss / Σ w, 0 where the label is ignored</summary>
    [Gradient("SoftmaxCrossEntropyLoss")]
    public static Var?[] SoftmaxCrossEntropyLoss(Backward b) => CrossEntropy(b, b.Node.Has("ignore_index") ? b.Graph.Scalar(b.Node.Int("ignore_index"), ElementType.Int64) : null);

    /// <summary>The same with the ignored label as an input</summary>
    [Gradient("com.microsoft.SoftmaxCrossEntropyLossInternal")]
    public static Var?[] SoftmaxCrossEntropyLossInternal(Backward b) => CrossEntropy(b, b.HasX(3) ? b.X(3) : null);

    /// <summary>loss = −Σ w[label] · log p[label] over labels that are not ignored ⇒ dlog p = −w[label] · dloss at the label, 0 elsewhere</summary>
    [Gradient("NegativeLogLikelihoodLoss")]
    public static Var?[] NegativeLogLikelihoodLoss(Backward b) => LogLikelihood(b, b.Node.Has("ignore_index") ? b.Graph.Scalar(b.Node.Int("ignore_index"), ElementType.Int64) : null);

    /// <summary>The same with the ignored label as an input</summary>
    [Gradient("com.microsoft.NegativeLogLikelihoodLossInternal"), Gradient("com.microsoft.NegativeLogLikelihoodLossInternal2")]
    public static Var?[] NegativeLogLikelihoodLossInternal(Backward b) => LogLikelihood(b, b.HasX(3) ? b.X(3) : null);

    /// <summary>loss, log p = cross-entropy of scores with labels that are probabilities ⇒ dscores = (p − label) · dloss / rows</summary>
    [Gradient("com.microsoft.SoftmaxCrossEntropy")]
    public static Var?[] SoftmaxCrossEntropy(Backward b)
    {
        Var dx = b.Graph.Add("SoftmaxCrossEntropyGrad", [b.Dy, b.Out(1), b.X(1)], n => n.With("reduction", b.Node.String("reduction", "mean")), "com.microsoft");
        return [ThroughLog(b, dx, -1)];
    }

    /// <summary>loss, log p = cross-entropy of […, C] scores with a weight w for each label ⇒ dscores = (p − onehot(label)) w · dloss / Σ w</summary>
    [Gradient("SparseSoftmaxCrossEntropy")]
    public static Var?[] SparseSoftmaxCrossEntropy(Backward b)
    {
        Var label = b.X(1).Reshape(-1), each = b.Dy;
        bool mean = b.Node.String("reduction", "mean") == "mean";
        Var weight = b.HasX(2) ? b.X(2).Reshape(-1) : label.ShapeOf().Filled(1).Cast(b.Dy.Element);
        each = each * weight;
        if (mean) each = each / weight.ReduceSum([0]);
        Var classes = b.X().ShapeOf().Slice(-1, long.MaxValue, 0);
        Var rows = b.Out(1).Reshape(b.Graph.Concat(0, b.Graph.Longs(-1), classes));
        return [ThroughLog(b, b.Graph.Add("SoftmaxCrossEntropyLossInternalGrad", [each, rows, label], n => n.With("reduction", "none"), "com.microsoft").Reshape(b.Dims(b.X())), -1)];
    }

    private static Var?[] CrossEntropy(Backward b, Var? ignored)
    {
        Var? dx = b.DyOf(0) is not { } dy ? null : b.Graph.Add("SoftmaxCrossEntropyLossInternalGrad", [dy, b.Out(1), b.X(1), b.HasX(2) ? b.X(2) : null, ignored],
            n => n.With("reduction", b.Node.String("reduction", "mean")), "com.microsoft");
        return [ThroughLog(b, dx, 1)];
    }

    /// <summary>dx and what comes through output 1, the logarithms of the probabilities.</summary>
    private static Var? ThroughLog(Backward b, Var? dx, long axis)
    {
        if (b.DyOf(1) is not { } log) return dx;
        Var through = b.Graph.Add("LogSoftmaxGrad_13", [log, b.Out(1)], n => n.With("axis", axis), "com.microsoft");
        return dx is null ? through : dx + through;
    }

    private static Var?[] LogLikelihood(Backward b, Var? ignored)
    {
        Var x = b.X(), label = b.X(1).Cast(ElementType.Int64);
        Var counts = label.ShapeOf().Filled(1).Cast(x.Element);
        if (ignored is not null)
        {
            Var counted = label.EqualTo(ignored.Cast(ElementType.Int64)).Not();
            label = counted.Where(label, label.Like(0));
            counts = counted.Cast(x.Element);
        }
        if (b.HasX(2)) counts = counts * b.X(2).Gather(label);
        Var share = b.Node.String("reduction", "mean") == "mean" ? counts / counts.Reshape(-1).ReduceSum([0]) : counts;
        Var updates = -(b.Dy * share).Unsqueeze(1);
        return [b.Graph.Add("ScatterElements", [b.ZerosLike(x), label.Unsqueeze(1), updates], n => n.With("axis", 1L))];
    }
}
