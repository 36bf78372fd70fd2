namespace Lift.Ort.Operators.Recurrent;

/// <summary>
/// A recurrent node's attributes. Beyond those of ONNX Runtime's training operators (which take one forward direction only): every direction, <c>clip</c>,
/// <c>input_forget</c>, and <c>activation_functions</c>, the functions of all directions in one string ("Sigmoid Tanh:0.5 …").
/// </summary>
internal sealed record RecurrentLayer(long Hidden, string Direction, double Clip, bool InputForget, bool LinearBeforeReset, RecurrentActivation[] Functions, int PerDirection)
{
    public long Directions => Direction == "bidirectional" ? 2 : 1;

    public static RecurrentLayer Of(NodeAttributes n, string functions)
    {
        string[] names = n.String("activation_functions", functions).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return new(n.Int("hidden_size", 0), n.String("direction", "forward"), n.Float("clip", 0), n.Int("input_forget", 0) != 0, n.Int("linear_before_reset", 0) != 0,
            [.. names.Select(RecurrentActivation.Parse)], functions.Split(' ').Length);
    }

    public RecurrentActivation Function(long direction, int index) => Functions[(direction * PerDirection + index) % Functions.Length];

    /// <summary>The sequences of a run in one direction.</summary>
    /// <exception cref="ArgumentException">A length is not in 0 … steps.</exception>
    public Sequences Along(CpuTensor x, CpuTensor? lengths, long direction)
    {
        long[]? given = lengths?.ToLongs();
        if (given is not null && (given.Length != x.Dims[1] || given.Any(l => l < 0 || l > x.Dims[0])))
            throw new ArgumentException($"sequence lengths [{string.Join(", ", given)}] do not fit X of {x.Dims[0]} steps and {x.Dims[1]} sequences");
        return new(x.Dims[0], x.Dims[1], given, direction == 1 || Direction == "reverse");
    }

    /// <exception cref="ArgumentException">The tensors do not fit each other.</exception>
    public void Check(CpuTensor x, CpuTensor w, CpuTensor r, int gates)
    {
        if (x.Dims.Length == 3 && w.Dims.AsSpan().SequenceEqual([Directions, gates * Hidden, x.Dims[2]]) && r.Dims.AsSpan().SequenceEqual([Directions, gates * Hidden, Hidden])) return;
        throw new ArgumentException($"X [{string.Join(", ", x.Dims)}], W [{string.Join(", ", w.Dims)}] and R [{string.Join(", ", r.Dims)}] do not fit a layer of {Directions} × {Hidden} units");
    }
}

/// <summary>In which order one direction walks over the time steps of each sequence of a batch; sequences may be shorter than the longest.</summary>
internal sealed class Sequences(long steps, long batch, long[]? lengths, bool reverse)
{
    public long Steps => steps;

    public long Batch => batch;

    /// <summary>True when sequence <paramref name="b"/> has a step of this number.</summary>
    public bool Has(long step, long b) => lengths is null || step < lengths[b];

    /// <summary>The time at which sequence <paramref name="b"/> has its step of this number.</summary>
    public long Time(long step, long b) => reverse ? (lengths is null ? steps : lengths[b]) - 1 - step : step;

    /// <summary>The row of [steps, batch] that belongs to a step of a sequence.</summary>
    public long Row(long step, long b) => Time(step, b) * batch + b;
}
