namespace Lift.Ort.Onnx.Inference;

/// <summary>Recurrent layers: X [steps, batch, input] (layout 0) or [batch, steps, input] (layout 1).</summary>
internal static class Recurrent
{
    [Infers("LSTM", "GRU", "RNN")]
    static void Layer(Inferred n)
    {
        bool batchFirst = n.Node.Int("layout") != 0;
        Shape? x = n.Shape(0);
        Dim steps = x is null ? Dim.Unknown : x[batchFirst ? 1 : 0], batch = x is null ? Dim.Unknown : x[batchFirst ? 0 : 1];
        Dim directions = n.Node.String("direction", "forward") == "bidirectional" ? 2 : 1;
        Dim hidden = n.Node.Has("hidden_size") ? n.Node.Int("hidden_size") : n.Shape(2) is { Rank: 3 } r ? r[2] : Dim.Unknown;
        n.Y(n.Element(), batchFirst ? new Shape(batch, steps, directions, hidden) : new Shape(steps, directions, batch, hidden));
        for (int i = 1; i <= 2; i++) n.Y(n.Element(), batchFirst ? new Shape(batch, directions, hidden) : new Shape(directions, batch, hidden), i);
    }
}
