using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse;

/// <summary>How <see cref="LowRank"/> works.</summary>
public sealed record LowRankOptions
{
    /// <summary>Bound on the relative error at which the iteration stops; default 2e-2, which gave mask overlaps (Jaccard with the exact mask) of 0.992 and more.</summary>
    public double Tolerance { get; init; } = 2e-2;

    /// <summary>Most filter rounds; default 8. A result whose bound is still above the tolerance is reported with that bound.</summary>
    public int MaxOuters { get; init; } = 8;

    /// <summary>True decomposes the whole float64 Gram matrix instead of iterating: exact to rounding, many times slower. Default false.</summary>
    public bool Exact { get; init; }
}

/// <summary>The best rank-r approximation A of a weight.</summary>
/// <param name="Data">Address of A, float32, row-major, the weight's shape; the weight itself where nothing is cut off. Valid until the next call.</param>
/// <param name="Bound">
/// Computed bound on the relative error: max over i &lt; r of ‖G·yᵢ − θᵢ·yᵢ‖ / (θᵢ − θ_q), the sines of the angles between the found and the true
/// directions; 0 for an exact result.
/// </param>
/// <param name="Outers">Filter rounds; 0 for an exact result.</param>
/// <param name="Products">Products by the Gram matrix.</param>
/// <param name="Basis">The block that the iteration ended with, to start from next time; null where it did not run.</param>
internal readonly record struct LowRankResult(nint Data, double Bound, int Outers, int Products, Tensor? Basis = null);

/// <summary>A matrix to be approximated.</summary>
/// <param name="Weight">float32, float16 or bfloat16, in the device's memory.</param>
/// <param name="Seed">Of the first block where there is no warm one.</param>
/// <param name="Warm">A basis that an earlier call gave, or null.</param>
internal readonly record struct LowRankTask(Tensor Weight, int Rows, int Columns, int Seed, Tensor? Warm)
{
    public string Name => Weight.Name;
}

/// <summary>Best rank-r approximations on a device; keeps its working memory, so keep one object per model.</summary>
internal interface ILowRank : IDisposable
{
    /// <summary>How many matrices of this shape it takes at a time.</summary>
    int Batch(int rows, int columns, int rank);

    /// <summary>Approximates matrices of one shape and type by rank <paramref name="rank"/>; each result is valid while <paramref name="use"/> runs.</summary>
    /// <exception cref="LiftException">A weight holds NaN or infinity.</exception>
    void Approximate(IReadOnlyList<LowRankTask> tasks, int rank, Action<int, LowRankResult> use);

    /// <summary>A from chosen singular directions (0 is that of the largest singular value), by the whole decomposition.</summary>
    void Approximate(LowRankTask task, int[] directions, Action<LowRankResult> use);
}

/// <summary>Opens the device's <see cref="ILowRank"/>.</summary>
internal readonly partial record struct OpenLowRank(LowRankOptions Options, ILowRank?[] Opened) : IKernel
{
    public static ILowRank On(IDevice device, LowRankOptions options)
    {
        var opened = new ILowRank?[1];
        device.Run(new OpenLowRank(options, opened));
        return opened[0]!;
    }

    public void Run(Devices.Cpu.CpuDevice device) => Opened[0] = new LowRank(device, Options);

    public void Run(Devices.Cuda.CudaDevice device) => Opened[0] = new CudaLowRank(device, Options);
}
