using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Activations that are fused with a sum or a product, or that only late opsets have.</summary>
internal static class Activations
{
    /// <summary>y = x σ(αx), of opset 24 ⇒ ONNX Runtime's own operator for it</summary>
    [Lowering("Swish")]
    public static Var?[] Swish(FusedNode n) => [n.Graph.Add("QuickGelu", [n.X()], a => a.With("alpha", n.Float("alpha", 1)), "com.microsoft")];

    /// <summary>y = tanh-Gelu(x · w + bias) ⇒ MatMul and FastGelu</summary>
    [Lowering("com.microsoft.GemmFastGelu")]
    public static Var?[] GemmFastGelu(FusedNode n) => [n.Graph.Add("FastGelu", [n.X().MatMul(n.X(1)), n.Maybe(2)], domain: "com.microsoft")];

    /// <summary>(a, b) = halves of x + bias along the last axis, y = a · Gelu(b)</summary>
    [Lowering("com.microsoft.BiasSplitGelu")]
    public static Var?[] BiasSplitGelu(FusedNode n)
    {
        Var sum = n.X() + n.X(1);
        if ((sum.Shape?[-1].Value ?? n.X(1).Shape?[0].Value) is not { } width) throw n.Refuse("the width of its input is unknown");
        Var[] halves = Rotation.Split(sum, -1, width / 2, width / 2);
        return [halves[0] * n.Graph.Add("Gelu", [halves[1]], domain: "com.microsoft")];
    }

    /// <summary>y = x + bias + skip</summary>
    [Lowering("com.microsoft.BiasAdd")]
    public static Var?[] BiasAdd(FusedNode n) => [n.X() + n.X(1) + n.X(2)];
}
