using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse;

/// <summary>
/// AdamW over the selected entries of a model's weights. Everything that is as long as the selection (gradient, m, v, the float32 master of
/// 16-bit weights) lies in one contiguous vector, weight after weight, positions ascending.
/// </summary>
public sealed unsafe class Optimizer : IDisposable
{
    private readonly IDevice device;
    private readonly double[] squares = new double[1];
    private Moments? moments;

    /// <param name="device">Where the weights lie and the steps run.</param>
    /// <param name="weights">The trained weights; their memory is changed by <see cref="Step(DeviceBuffer{float}, double, double)"/>. Keep them alive as long as this object.</param>
    /// <param name="options">Numbers of AdamW; null: the defaults.</param>
    /// <exception cref="LiftException">A number is out of range, or a weight is neither float32 nor float16 nor bfloat16.</exception>
    public Optimizer(IDevice device, IReadOnlyList<Tensor> weights, AdamWOptions? options = null)
    {
        foreach (Tensor w in weights)
        {
            if (w.Type is not (ElementType.Float or ElementType.Float16 or ElementType.BFloat16))
            {
                throw new LiftException($"Weight '{w.Name}' holds {w.Type}; only float32, float16 and bfloat16 weights can be trained: freeze it (--freeze '{w.Name}'), or export the model in float32.");
            }
        }
        (this.device, Weights, Options) = (device, weights, (options ?? new()).Check());
    }

    public IReadOnlyList<Tensor> Weights { get; }

    public AdamWOptions Options { get; }

    /// <summary>Optimizer steps so far; set it when a run goes on. A refresh of the masks does not change it.</summary>
    public int Steps { get; set; }

    /// <summary>The masks with m, v and master; call <see cref="SetMasks"/> first.</summary>
    public Moments Moments => moments ?? throw new InvalidOperationException("no masks yet: call SetMasks");

    /// <summary>L2 norm of the last step's averaged gradient, before clipping; NaN where <see cref="AdamWOptions.ClipNorm"/> is off.</summary>
    public double GradientNorm { get; private set; } = double.NaN;

    /// <summary>
    /// Sets the masks, one per weight in the weights' order: at first with zero moments; later entries that stay selected keep m, v and
    /// their float32 master, new ones start from zero, dropped ones are forgotten.
    /// </summary>
    public void SetMasks(IReadOnlyList<Mask> masks)
    {
        Moments next = moments is null ? Moments.Zero(device, Weights, masks) : moments.CarryOver(masks);
        moments?.Dispose();
        moments = next;
    }

    /// <summary>Takes moments that were restored from a file.</summary>
    public void Restore(Moments restored, int steps)
    {
        moments?.Dispose();
        (moments, Steps) = (restored, steps);
    }

    /// <summary>
    /// One step on the compact gradient (<see cref="Moments.Length"/> entries): clips by norm, then by value, then updates m, v and the weights.
    /// </summary>
    /// <param name="gradient">The sum or average over the batch; not changed.</param>
    /// <param name="learningRate">Of this step.</param>
    /// <param name="gradientScale">Turns the sum into the average; default 1.</param>
    public void Step(DeviceBuffer<float> gradient, double learningRate, double gradientScale = 1)
    {
        if (gradient.Length != Moments.Length) throw new ArgumentException($"{gradient.Length} gradient entries for {Moments.Length} selected ones");
        double scale = gradientScale;
        if (Options.ClipNorm > 0)
        {
            device.Run(new SquaredNorm(gradient, squares));
            GradientNorm = Math.Sqrt(squares[0]) * Math.Abs(gradientScale);
            if (GradientNorm > Options.ClipNorm) scale *= Options.ClipNorm / GradientNorm;
        }
        Steps++;
        device.Run(new MaskedAdamW(Moments.Segments, gradient, Moments.First, Moments.Second, Moments.Master, new AdamWStep(Options, Steps, learningRate, scale)));
    }

    /// <summary>The same where the device decides by a <see cref="StepVerdict"/> of this gradient: nothing is waited for, and a step that is not good changes no weight, though it counts in <see cref="Steps"/>.</summary>
    internal void Step(DeviceBuffer<float> gradient, double learningRate, DeviceBuffer<double> verdict)
    {
        if (gradient.Length != Moments.Length) throw new ArgumentException($"{gradient.Length} gradient entries for {Moments.Length} selected ones");
        Steps++;
        device.Run(new MaskedAdamW(Moments.Segments, gradient, Moments.First, Moments.Second, Moments.Master, new AdamWStep(Options, Steps, learningRate)) { Verdict = verdict });
    }

    public void Dispose() => moments?.Dispose();
}

/// <summary>Says when masks are made anew.</summary>
public static class RefreshRule
{
    /// <summary>True after optimizer step <paramref name="step"/> (from 1) when (step + 1) is a multiple of <paramref name="interval"/>; an interval of 0 never refreshes.</summary>
    public static bool IsDue(int step, int interval) => interval > 0 && (step + 1) % interval == 0;
}
