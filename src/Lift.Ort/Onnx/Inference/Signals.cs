namespace Lift.Ort.Onnx.Inference;

/// <summary>Fourier transforms, windows and filters of signals.</summary>
internal static class Signals
{
    /// <summary>The signal with complex numbers in the last axis, of the given length; of a one-sided transform half of it, and one.</summary>
    [Infers("DFT")]
    static void Dft(Inferred n)
    {
        Shape? s = n.Shape(0);
        long? axis = n.Has(2) ? n.Longs(2) is [var given] ? given : null : n.Node.Int("axis", n.Graph.Opset >= 20 ? -2 : 1);
        if (s is null || axis is null || Inferred.Axis(axis.Value, s.Rank) is not { } at)
        {
            n.Y(n.Element(), s is null ? null : new Shape([.. new Dim[s.Rank]]));
            return;
        }
        Dim[] dims = [.. s.Dims];
        if (n.Has(1)) dims[at] = n.Content(1) is [var length] ? length : Dim.Unknown;
        if (n.Node.Int("onesided") != 0) dims[at] = DimMath.Add(DimMath.Floor(dims[at], 2), 1);
        dims[^1] = 2;
        n.Y(n.Element(), new Shape([.. dims]));
    }

    /// <summary>[batch, samples, …] → [batch, frames, frequencies, 2].</summary>
    [Infers("STFT")]
    static void Stft(Inferred n)
    {
        Dim length = n.Has(3) ? n.Content(3) is [var given] ? given : Dim.Unknown : n.Shape(2)?[0] ?? Dim.Unknown;
        Dim frames = n.Shape(0) is { } x && n.Content(1) is [{ Value: { } step and > 0 }] ? DimMath.Add(DimMath.Floor(DimMath.Sub(x[1], length), step), 1) : Dim.Unknown;
        n.Y(n.Element(), new Shape(n.Shape(0)?[0] ?? Dim.Unknown, frames, n.Node.Int("onesided", 1) != 0 ? DimMath.Add(DimMath.Floor(length, 2), 1) : length, 2));
    }

    [Infers("HannWindow", "HammingWindow", "BlackmanWindow")]
    static void Window(Inferred n) => n.Y((ElementType)n.Node.Int("output_datatype", 1), new Shape(n.Content(0) is [var size] ? size : Dim.Unknown));

    /// <summary>[⌊length / 2⌋ + 1, filters].</summary>
    [Infers("MelWeightMatrix")]
    static void Mel(Inferred n) => n.Y((ElementType)n.Node.Int("output_datatype", 1),
        new Shape(n.Content(1) is [var length] ? DimMath.Add(DimMath.Floor(length, 2), 1) : Dim.Unknown, n.Content(0) is [var filters] ? filters : Dim.Unknown));
}
