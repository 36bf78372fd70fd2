using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of Fourier transforms: linear maps, whose transposes are Fourier transforms again. Windows and mel filters are made of constants.</summary>
[NoGradient("HannWindow", "HammingWindow", "BlackmanWindow", "MelWeightMatrix")]
internal static class Signals
{
    /// <summary>yₖ = Σₙ xₙ e^(−2πi nk/N) ⇒ dxₙ = Σₖ dyₖ e^(2πi nk/N) = N · the inverse transform of dy (of an inverse: the transform / N), cut or padded to x; of real x the real part</summary>
    [Gradient("DFT")]
    public static Var?[] Dft(Backward b)
    {
        Graph g = b.Graph;
        Var x = b.X();
        int rank = b.RankOf(x);
        long axis = b.Node.Int("axis", g.Opset >= 20 ? -2 : 1);
        if (b.HasX(2)) axis = b.Longs(b.Node.Inputs[2]) is [var given] ? given : throw b.Refuse("its axis is not a constant");
        axis = b.AxisAt(rank, axis);
        Var n = b.DimOf(x, (int)axis), length = b.HasX(1) ? b.X(1).Cast(ElementType.Int64).Reshape(1) : n;
        bool inverse = b.Node.Int("inverse") != 0;
        Var dy = b.Node.Int("onesided") != 0 ? Resized(b.Dy, length, (int)axis) : b.Dy;
        Var back = Transform(dy, (int)axis, !inverse), factor = length.Cast(x.Element);
        Var dx = Resized(inverse ? back / factor : back * factor, n, (int)axis);
        return [b.Like(g.Add("Slice", [dx, g.Longs(0), b.DimOf(x, rank - 1), g.Longs(rank - 1)]), x)];
    }

    /// <summary>y[f, k] = Σₙ wₙ x[f · step + n] e^(−2πi nk/N) of real x ⇒ with the frames' gradients d = N · Re(the inverse transform of dy): dx = w d added where each frame lay, dw = Σ x d</summary>
    [Gradient("STFT")]
    public static Var?[] Stft(Backward b)
    {
        Graph g = b.Graph;
        Var x = b.X(), dims = b.Dims(x);
        if (b.RankOf(x) > 2 && x.Shape![-1].Value is { } parts and not 1) throw b.Refuse($"its signal has {parts} parts, and ONNX Runtime computes that of complex signals wrongly (its kernel reads past the signal)");
        Var batch = b.DimOf(x, 0), samples = b.DimOf(x, 1), step = b.X(1).Cast(ElementType.Int64).Reshape(1);
        Var n = b.HasX(3) ? b.X(3).Cast(ElementType.Int64).Reshape(1) : b.DimOf(b.X(2), 0), frames = b.DimOf(b.Y, 1);
        Var dy = b.Node.Int("onesided", 1) != 0 ? Resized(b.Dy, n, 2) : b.Dy;
        Var d = (Transform(dy, 2, true) * n.Cast(x.Element)).Slice(0, 1, 3).Squeeze(3); // [batch, frames, n]
        Var Numbers(Var count) => g.Add("Range", [g.Scalar(0, ElementType.Int64), count.Reshape([]), g.Scalar(1, ElementType.Int64)]);
        Var at = (Numbers(frames) * step).Unsqueeze(1) + Numbers(n).Unsqueeze(0); // [frames, n]
        Var count = frames * n, places = at.Reshape(1, -1).Expand(g.Concat(0, batch, count));
        Var? dx = null, dw = null;
        if (b.Needs(0))
        {
            Var values = (b.HasX(2) ? d * b.X(2) : d).Reshape(g.Concat(0, batch, count)), zeros = g.Concat(0, batch, samples).Filled(0).Cast(x.Element);
            dx = b.Like(g.Add("ScatterElements", [zeros, places, values], node => node.With("axis", 1L).With("reduction", "add")).Reshape(dims), x);
        }
        if (b.Needs(2)) dw = b.Like((x.Reshape(g.Concat(0, batch, samples)).Gather(at, 1) * d).ReduceSum([0, 1], keepDims: false), b.X(2));
        return [dx, null, dw];
    }

    /// <summary>A transform of complex numbers along an axis; an inverse divides by their count.</summary>
    private static Var Transform(Var x, int axis, bool inverse) => x.Graph.Opset >= 20
        ? x.Graph.Add("DFT", [x, null, x.Graph.Scalar(axis, ElementType.Int64)], n => n.With("inverse", inverse ? 1L : 0L))
        : x.Graph.Add("DFT", [x], n => n.With("axis", axis).With("inverse", inverse ? 1L : 0L));

    /// <summary>Cut, or padded with zeros, to <paramref name="length"/> along an axis.</summary>
    private static Var Resized(Var x, Var length, int axis)
    {
        Graph g = x.Graph;
        int rank = x.Rank!.Value;
        Var have = x.Shape?[axis].Value is { } n ? g.Longs(n) : x.ShapeOf().Slice(axis, axis + 1, 0);
        return g.Add("Pad", [x, g.Concat(0, g.Longs(new long[rank + axis]), length - have, g.Longs(new long[rank - 1 - axis]))]);
    }
}
