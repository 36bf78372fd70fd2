using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse;

/// <summary>One number per entry of every weight, gathered from dense gradients: what some selections rank by.</summary>
public sealed unsafe class WeightStatistics : IDisposable
{
    private const float MomentumDecay = 0.9f;

    private readonly IReadOnlyList<Tensor> weights;
    private readonly NativeBuffer values;

    /// <param name="weights">In the order in which the gradients lie.</param>
    public WeightStatistics(IReadOnlyList<Tensor> weights, Statistic kind)
    {
        (this.weights, Kind) = (weights, kind);
        Length = weights.Sum(w => w.Count);
        values = new NativeBuffer(Length * sizeof(float));
    }

    public Statistic Kind { get; }

    /// <summary>Number of entries of all weights.</summary>
    public long Length { get; }

    /// <summary>Gradients seen so far.</summary>
    public int Steps { get; private set; }

    /// <summary>All numbers, weight after weight: to be saved with a run.</summary>
    public Tensor Values => new("statistic", ElementType.Float, [Length], values.Data, values);

    /// <summary>Goes back to numbers that were saved after <paramref name="steps"/> gradients.</summary>
    /// <exception cref="LiftException">They are not of these weights.</exception>
    public void Restore(Tensor saved, int steps)
    {
        if (saved.Count != Length) throw new LiftException($"The saved statistic has {saved.Count} entries, but the weights have {Length}; the checkpoint is damaged or of another model.");
        saved.AsSpan<float>().CopyTo(Values.AsSpan<float>());
        Steps = steps;
    }

    /// <summary>Adds the gradients of one step: every entry of every weight, weight after weight (a session whose masks are all full gives them so).</summary>
    public void Add(DeviceBuffer<float> gradient)
    {
        if (gradient.Length != Length) throw new ArgumentException($"{gradient.Length} gradient entries for {Length} weight entries");
        float* g = (float*)gradient.Pointer, s = (float*)values.Data;
        float mean = 1f / ++Steps;
        foreach (Tensor w in weights)
        {
            for (long i = 0; i < w.Count; i++)
            {
                s[i] = Kind switch
                {
                    Statistic.Gradient => s[i] + (g[i] - s[i]) * mean,
                    Statistic.Movement => s[i] - g[i] * HalfPrecision.Entry(w.Data, w.Type, i),
                    _ => MomentumDecay * s[i] + (1 - MomentumDecay) * g[i],
                };
            }
            g += w.Count;
            s += w.Count;
        }
    }

    /// <summary>The numbers of one weight.</summary>
    public Tensor Of(int weight)
    {
        long offset = weights.Take(weight).Sum(w => w.Count);
        return new Tensor(weights[weight].Name, ElementType.Float, weights[weight].Dims, values.Data + offset * sizeof(float), values);
    }

    public void Dispose() => values.Dispose();
}
