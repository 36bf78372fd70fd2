using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Operators that ONNX once tried out and dropped, and that ONNX Runtime still runs (models converted from Core ML have them).</summary>
internal static class Experiments
{
    /// <summary>y = αx + β</summary>
    [Lowering("Affine")]
    public static Var?[] Affine(FusedNode n) => [n.X() * n.Float("alpha", 1) + n.Float("beta")];

    /// <summary>y = scale · x</summary>
    [Lowering("Scale")]
    public static Var?[] Scale(FusedNode n) => [n.X() * n.Float("scale", 1)];

    /// <summary>y = α tanh(βx)</summary>
    [Lowering("ScaledTanh")]
    public static Var?[] ScaledTanh(FusedNode n) => [n.Graph.Add("Tanh", [n.X() * n.Float("beta")]) * n.Float("alpha")];

    /// <summary>y = α ln(1 + e^(βx))</summary>
    [Lowering("ParametricSoftplus")]
    public static Var?[] ParametricSoftplus(FusedNode n) => [n.Graph.Add("Softplus", [n.X() * n.Float("beta")]) * n.Float("alpha")];

    /// <summary>y = scale · x + bias of the channel, x [N, C, H, W]</summary>
    [Lowering("ImageScaler")]
    public static Var?[] ImageScaler(FusedNode n)
    {
        Var y = n.X() * n.Float("scale", 1);
        return [n.Node.Attributes.TryGetValue("bias", out var bias) && bias.Floats.Count > 0 ? y + n.Graph.Constant<float>([.. bias.Floats], [1, bias.Floats.Count, 1, 1]).Cast(y.Element) : y];
    }

    /// <summary>y = the image without its border (left, top, right, bottom), or so many rows and columns from its corner on</summary>
    [Lowering("Crop")]
    public static Var?[] Crop(FusedNode n)
    {
        if (n.Node.Ints("border") is not [var left, var top, var right, var bottom]) throw n.Refuse("its border is not of four numbers");
        bool sized = n.Node.Ints("scale") is { Length: 2 };
        long[] size = n.Node.Ints("scale") ?? [0, 0];
        Var rows = n.X().Slice(top, sized ? top + size[0] : bottom == 0 ? long.MaxValue : -bottom, 2);
        return [rows.Slice(left, sized ? left + size[1] : right == 0 ? long.MaxValue : -right, 3)];
    }

    /// <summary>y = x[starts:ends]</summary>
    [Lowering("DynamicSlice")]
    public static Var?[] DynamicSlice(FusedNode n) => [n.Graph.Add("Slice", [n.X(), n.X(1), n.X(2), n.Maybe(3)])];
}
