using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse;

/// <summary>One number per entry of every weight, gathered from dense gradients: what some selections rank by.</summary>
public sealed unsafe class WeightStatistics : IDisposable
{
    private readonly IDevice device;
    private readonly IReadOnlyList<Tensor> weights;
    private readonly DeviceBuffer<float> values;

    /// <param name="device">Where the weights lie.</param>
    /// <param name="weights">In the order in which the gradients lie.</param>
    public WeightStatistics(IDevice device, IReadOnlyList<Tensor> weights, Statistic kind)
    {
        (this.device, this.weights, Kind) = (device, weights, kind);
        Length = weights.Sum(w => w.Count);
        values = device.Allocate<float>(Length);
    }

    public Statistic Kind { get; }

    /// <summary>Number of entries of all weights.</summary>
    public long Length { get; }

    /// <summary>Gradients seen so far.</summary>
    public int Steps { get; private set; }

    /// <summary>A copy of all numbers, weight after weight: to be saved with a run.</summary>
    public Tensor ToTensor()
    {
        Tensor copy = Tensor.Empty("statistic", ElementType.Float, [Length]);
        const int Piece = 1 << 28;
        for (long at = 0; at < Length; at += Piece) values.CopyTo(new Span<float>((float*)copy.Data + at, (int)Math.Min(Piece, Length - at)), at);
        return copy;
    }

    /// <summary>Goes back to numbers that were saved after <paramref name="steps"/> gradients.</summary>
    /// <exception cref="LiftException">They are not of these weights.</exception>
    public void Restore(Tensor saved, int steps)
    {
        if (saved.Count != Length) throw new LiftException($"The saved statistic has {saved.Count} entries, but the weights have {Length}; the checkpoint is damaged or of another model.");
        const int Piece = 1 << 28;
        for (long at = 0; at < Length; at += Piece) values.CopyFrom(new ReadOnlySpan<float>((float*)saved.Data + at, (int)Math.Min(Piece, Length - at)), at);
        GC.KeepAlive(saved);
        Steps = steps;
    }

    /// <summary>Adds the gradients of one step: every entry of every weight, weight after weight (a session whose masks are all full gives them so).</summary>
    public void Add(DeviceBuffer<float> gradient)
    {
        if (gradient.Length != Length) throw new ArgumentException($"{gradient.Length} gradient entries for {Length} weight entries");
        Steps++;
        long at = 0;
        foreach (Tensor w in weights)
        {
            device.Run(new AddStatistic(Kind, values.Pointer + (nint)(at * sizeof(float)), gradient.Pointer + (nint)(at * sizeof(float)), w, Steps));
            at += w.Count;
        }
    }

    /// <summary>The numbers of one weight, where they lie on the device.</summary>
    public Tensor Of(int weight)
    {
        long offset = weights.Take(weight).Sum(w => w.Count);
        return new Tensor(weights[weight].Name, ElementType.Float, weights[weight].Dims, (byte*)values.Pointer + offset * sizeof(float), values);
    }

    public void Dispose() => values.Dispose();
}
