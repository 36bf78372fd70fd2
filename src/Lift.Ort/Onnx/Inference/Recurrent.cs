namespace Lift.Ort.Onnx.Inference;

/// <summary>Recurrent layers: X [steps, batch, input] (layout 0) or [batch, steps, input] (layout 1).</summary>
internal static class Recurrent
{
    [Infers("LSTM", "GRU", "RNN", "com.microsoft.DynamicQuantizeLSTM")]
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

    /// <summary>LSTM's outputs, and the cells and gates of all steps.</summary>
    [Infers("com.microsoft.LSTMTraining")]
    static void LstmTraining(Inferred n)
    {
        Layer(n);
        All(n, 3, 1);
        All(n, 4, 4);
    }

    /// <summary>GRU's outputs, and the gates of all steps.</summary>
    [Infers("com.microsoft.GRUTraining")]
    static void GruTraining(Inferred n)
    {
        Layer(n);
        All(n, 2, 3);
    }

    /// <summary>Gradients of x, W, R, B, the initial states and the peephole weights.</summary>
    [Infers("com.microsoft.LSTMGrad", "com.microsoft.GRUGrad")]
    static void Grad(Inferred n)
    {
        Dim directions = n.Shape(1)?[0] ?? Dim.Unknown, hidden = n.Shape(2)?[2] ?? Dim.Unknown, batch = n.Shape(0)?[1] ?? Dim.Unknown;
        bool lstm = n.Node.OpType == "LSTMGrad";
        for (int i = 0; i < 3; i++) n.Y(n.X(i), i);
        n.Y(n.Element(), new Shape(directions, DimMath.Mul(hidden, lstm ? 8 : 6)), 3);
        n.Y(n.Element(), new Shape(directions, batch, hidden), 4);
        n.Y(n.Element(), new Shape(directions, batch, hidden), 5);
        n.Y(n.Element(), new Shape(directions, DimMath.Mul(hidden, 3)), 6);
    }

    /// <summary>[steps, directions, batch, times · hidden].</summary>
    private static void All(Inferred n, int output, long times)
    {
        Shape? x = n.Shape(0), r = n.Shape(2);
        n.Y(n.Element(), new Shape(x?[0] ?? Dim.Unknown, r?[0] ?? Dim.Unknown, x?[1] ?? Dim.Unknown, DimMath.Mul(r?[2] ?? Dim.Unknown, times)), output);
    }
}
