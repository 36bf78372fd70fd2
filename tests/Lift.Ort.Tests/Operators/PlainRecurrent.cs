namespace Lift.Ort.Tests.Operators;

/// <summary>A number and its derivative along one direction.</summary>
internal readonly record struct Dual(double Value, double Slope = 0)
{
    public static implicit operator Dual(double value) => new(value);

    public static Dual operator +(Dual a, Dual b) => new(a.Value + b.Value, a.Slope + b.Slope);

    public static Dual operator -(Dual a, Dual b) => new(a.Value - b.Value, a.Slope - b.Slope);

    public static Dual operator *(Dual a, Dual b) => new(a.Value * b.Value, a.Value * b.Slope + a.Slope * b.Value);

    public Dual Map(Func<double, double> f, Func<double, double> slope) => new(f(Value), Slope * slope(Value));
}

/// <summary>LSTM and GRU as ONNX describes them, element by element. Inputs that are absent are empty.</summary>
/// <param name="Lengths">The sequences' lengths, or empty.</param>
internal sealed record PlainRecurrent(int Steps, int Batch, int Inputs, int Hidden, string Direction, int[] Lengths, bool Linear = false, double Clip = 0, bool Smooth = false)
{
    public int Directions => Direction == "bidirectional" ? 2 : 1;

    /// <summary>Outputs of LSTM: all states, last states, last cells, all cells, all gates (i, o, f, c).</summary>
    public Dual[][] Lstm(Dual[] x, Dual[] w, Dual[] r, Dual[] bias, Dual[] h0, Dual[] c0, Dual[] p)
    {
        var (all, final, finalCell, cells, gates) = (New(Steps, 1), New(1, 1), New(1, 1), New(Steps, 1), New(Steps, 4));
        for (int d = 0; d < Directions; d++)
            for (int b = 0; b < Batch; b++)
            {
                Dual[] h = Start(h0, d, b), c = Start(c0, d, b);
                foreach (int t in Times(d, b))
                {
                    Dual[] next = new Dual[Hidden];
                    for (int j = 0; j < Hidden; j++)
                    {
                        Dual Gate(int gate) => Sum(x, w, r, bias, 4, d, b, t, gate, j, h);
                        Dual Peep(int which) => p.Length > 0 ? p[(d * 3 + which) * Hidden + j] : 0;
                        Dual i = F(Gate(0) + Peep(0) * c[j]), f = F(Gate(2) + Peep(2) * c[j]), g = G(Gate(3));
                        Dual cell = f * c[j] + i * g;
                        Dual o = F(Gate(1) + Peep(1) * cell);
                        c[j] = cell;
                        next[j] = o * cell.Map(Math.Tanh, v => 1 - Math.Tanh(v) * Math.Tanh(v));
                        (cells[At(t, d, b, 1) + j], all[At(t, d, b, 1) + j]) = (cell, next[j]);
                        foreach (var (value, gate) in new[] { i, o, f, g }.Select((v, k) => (v, k))) gates[At(t, d, b, 4) + gate * Hidden + j] = value;
                    }
                    h = next;
                }
                h.CopyTo(final, At(0, d, b, 1));
                c.CopyTo(finalCell, At(0, d, b, 1));
            }
        return [all, final, finalCell, cells, gates];
    }

    /// <summary>Outputs of GRU: all states, last states, all gates (z, r, n).</summary>
    public Dual[][] Gru(Dual[] x, Dual[] w, Dual[] r, Dual[] bias, Dual[] h0)
    {
        var (all, final, gates) = (New(Steps, 1), New(1, 1), New(Steps, 3));
        for (int d = 0; d < Directions; d++)
            for (int b = 0; b < Batch; b++)
            {
                Dual[] h = Start(h0, d, b);
                foreach (int t in Times(d, b))
                {
                    Dual[] z = new Dual[Hidden], reset = new Dual[Hidden], next = new Dual[Hidden];
                    for (int j = 0; j < Hidden; j++) (z[j], reset[j]) = (F(Sum(x, w, r, bias, 3, d, b, t, 0, j, h)), F(Sum(x, w, r, bias, 3, d, b, t, 1, j, h)));
                    Dual[] seen = [.. h.Select((v, k) => v * reset[k])];
                    for (int j = 0; j < Hidden; j++)
                    {
                        Dual n = Linear ? G(Sum(x, w, [], Half(bias, 0), 3, d, b, t, 2, j, h) + reset[j] * Sum([], [], r, Half(bias, 1), 3, d, b, t, 2, j, h)) : G(Sum(x, w, r, bias, 3, d, b, t, 2, j, seen));
                        next[j] = z[j] * h[j] + (1 - z[j]) * n;
                        all[At(t, d, b, 1) + j] = next[j];
                        foreach (var (value, gate) in new[] { z[j], reset[j], n }.Select((v, k) => (v, k))) gates[At(t, d, b, 3) + gate * Hidden + j] = value;
                    }
                    h = next;
                }
                h.CopyTo(final, At(0, d, b, 1));
            }
        return [all, final, gates];
    }

    /// <summary>The bias of the input (0) or of the recurrence (1), the other zero.</summary>
    private Dual[] Half(Dual[] bias, int half) => [.. bias.Select((v, i) => i / (3 * Hidden) % 2 == half ? v : (Dual)0)];

    private Dual[] New(int steps, int times) => new Dual[steps * Directions * Batch * times * Hidden];

    private int At(int t, int d, int b, int times) => ((t * Directions + d) * Batch + b) * times * Hidden;

    private Dual[] Start(Dual[] given, int d, int b) => given.Length > 0 ? given[((d * Batch + b) * Hidden)..((d * Batch + b + 1) * Hidden)] : new Dual[Hidden];

    private IEnumerable<int> Times(int d, int b)
    {
        IEnumerable<int> times = Enumerable.Range(0, Lengths.Length > 0 ? Lengths[b] : Steps);
        return d == 1 || Direction == "reverse" ? times.Reverse() : times;
    }

    private Dual Sum(Dual[] x, Dual[] w, Dual[] r, Dual[] bias, int gates, int d, int b, int t, int gate, int j, Dual[] h)
    {
        int row = (d * gates + gate) * Hidden + j;
        Dual sum = bias.Length > 0 ? bias[(2 * d * gates + gate) * Hidden + j] + bias[((2 * d + 1) * gates + gate) * Hidden + j] : 0;
        for (int k = 0; k < Inputs && x.Length > 0; k++) sum += x[(t * Batch + b) * Inputs + k] * w[row * Inputs + k];
        for (int k = 0; k < Hidden && r.Length > 0; k++) sum += h[k] * r[row * Hidden + k];
        return sum;
    }

    private Dual F(Dual x) => Clipped(x).Map(v => 1 / (1 + Math.Exp(-v)), v => Math.Exp(-v) / Math.Pow(1 + Math.Exp(-v), 2));

    /// <summary>tanh, or softsign.</summary>
    private Dual G(Dual x) => Smooth ? Clipped(x).Map(v => v / (1 + Math.Abs(v)), v => 1 / Math.Pow(1 + Math.Abs(v), 2)) : Clipped(x).Map(Math.Tanh, v => 1 - Math.Tanh(v) * Math.Tanh(v));

    private Dual Clipped(Dual x) => Clip > 0 && Math.Abs(x.Value) > Clip ? Math.Sign(x.Value) * Clip : x;
}
