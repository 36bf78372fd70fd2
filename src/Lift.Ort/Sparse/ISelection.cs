using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse;

/// <summary>What a selection wants to know about a weight beside its values.</summary>
public enum Statistic
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Mean of the gradients seen so far, of every entry.</summary>
    Gradient,

    /// <summary>Sum of −g·w over the steps seen so far, of every entry.</summary>
    Movement,

    /// <summary>Running average of the gradients (decay 0.9), of every entry.</summary>
    Momentum,
}

/// <summary>A weight as a selection sees it.</summary>
/// <param name="Weight">Its values: float32, float16 or bfloat16.</param>
/// <param name="K">How many entries to select, 1 up to the number of entries less one.</param>
/// <param name="Seed">Fixes every random choice; differs per weight and per refresh.</param>
/// <param name="Statistic">One float32 per entry, where the selection asked for a statistic; otherwise null.</param>
public sealed record Candidate(Tensor Weight, int K, int Seed, Tensor? Statistic)
{
    /// <summary>The weight as a matrix: [first dimension, all others].</summary>
    public (int Rows, int Columns) Matrix
    {
        get
        {
            var (rows, columns) = Budget.Matrix(Weight.Dims);
            return ((int)rows, (int)columns);
        }
    }
}

/// <summary>What a selection found: K ascending positions, and how sure it is of them.</summary>
/// <param name="Positions">Flat positions, row-major over the weight as stored; null: every entry.</param>
/// <param name="Bound">Bound on the error of the low-rank approximation behind them; 0 where there is none or it is exact.</param>
/// <param name="Outers">Filter rounds that the approximation took.</param>
public readonly record struct Selected(int[]? Positions, double Bound = 0, int Outers = 0)
{
    /// <summary>The positions where they are still on their way from a device; they then take the place of <see cref="Positions"/>.</summary>
    internal QueuedPositions? Queued { get; init; }
}

/// <summary>A rule that chooses which entries of a weight are trained. Stateless but for warm starts; one object serves all weights of a model in turn.</summary>
public interface ISelection : IDisposable
{
    /// <summary>What <see cref="Candidate.Statistic"/> has to hold.</summary>
    Statistic Needs => Statistic.None;

    /// <summary>True when the rule selects every entry, whatever the budget.</summary>
    bool SelectsAll => false;

    /// <summary>How many weights of this one's shape and type the rule takes at a time.</summary>
    int Batch(Candidate candidate) => 1;

    Selected Select(Candidate candidate);

    /// <summary>The same for weights of one shape and type, as many as <see cref="Batch"/> says.</summary>
    IReadOnlyList<Selected> Select(IReadOnlyList<Candidate> batch) => [.. batch.Select(Select)];

    void IDisposable.Dispose() { }
}

internal static class Weights
{
    /// <summary>Where the weight lies as float32: itself, or a float32 copy that the caller gives back.</summary>
    public static unsafe DeviceBuffer<float>? AsSingle(this IDevice device, Tensor weight, out nint data)
    {
        data = (nint)weight.Data;
        if (weight.Type == ElementType.Float) return null;
        DeviceBuffer<float> copy = device.Allocate<float>(weight.Count);
        device.Run(new Widen((nint)weight.Data, weight.Type, copy));
        data = copy.Pointer;
        return copy;
    }
}
