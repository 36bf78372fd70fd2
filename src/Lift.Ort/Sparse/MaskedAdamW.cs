using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse;

/// <summary>
/// The part of the compact vector that belongs to one weight: entry i of the segment is entry <c>Positions[i]</c> of the weight,
/// or entry i where there are no positions (every entry is trained).
/// </summary>
/// <param name="Weight">Address of the weight's first element, in the device's memory.</param>
/// <param name="Type">float32, float16 or bfloat16.</param>
/// <param name="Positions">Address of <paramref name="Length"/> ascending int32 positions; 0: every entry.</param>
/// <param name="Offset">Where the segment starts in the compact vector.</param>
/// <param name="Length">k of this weight.</param>
/// <param name="Master">Where the segment starts in the vector of float32 master values; −1 for float32 weights, which are their own master.</param>
public readonly record struct Segment(nint Weight, ElementType Type, nint Positions, long Offset, long Length, long Master = -1);

/// <summary>The numbers of one step of AdamW.</summary>
/// <param name="Step">Optimizer steps so far, this one included: from 1.</param>
/// <param name="LearningRate">Of this step.</param>
/// <param name="GradientScale">Each gradient entry is multiplied by this first (averaging and norm clipping); 1: as it is.</param>
public readonly record struct AdamWStep(AdamWOptions Options, int Step, double LearningRate, double GradientScale = 1)
{
    /// <summary>As the kernels take them.</summary>
    public AdamWOptions Options { get; init; } = Options.ForKernel();
}

/// <summary>
/// One step of AdamW on the selected entries of all weights, all in float32:
/// <code>
/// g = clamp(scale·g);  m = β₁m + (1−β₁)g;  v = β₂v + (1−β₂)g²
/// hf:    a = lr·√(1−β₂ᵗ)/(1−β₁ᵗ);  w −= a·m/(√v + ε);  w −= lr·λ·w
/// torch: w −= lr·λ·w;  w −= lr/(1−β₁ᵗ) · m/(√v/√(1−β₂ᵗ) + ε)
/// </code>
/// 16-bit weights are updated in their float32 master and then rounded to nearest even. Source: LIFT (arXiv 2506.00772) and its public code.
/// </summary>
/// <param name="Segments">One per weight.</param>
/// <param name="Gradient">The compact vector of gradients, read only.</param>
/// <param name="First">m, as long as the gradient.</param>
/// <param name="Second">v, as long as the gradient.</param>
/// <param name="Master">float32 values of the selected entries of 16-bit weights; null where all weights are float32.</param>
public readonly partial record struct MaskedAdamW(
    Segment[] Segments, DeviceBuffer<float> Gradient, DeviceBuffer<float> First, DeviceBuffer<float> Second, DeviceBuffer<float>? Master, AdamWStep Step) : IKernel
{
    /// <summary>A <see cref="StepVerdict"/> by which the step is left out, or clipped by norm, on the device; null: neither.</summary>
    internal DeviceBuffer<double>? Verdict { get; init; }

    /// <summary>What the gradient is multiplied by, <see cref="AdamWOptions.ClipNorm"/> included.</summary>
    private static double ScaleFor(AdamWStep step, double squares)
    {
        double norm = Math.Sqrt(squares) * Math.Abs(step.GradientScale);
        return step.Options.ClipNorm > 0 && norm > step.Options.ClipNorm ? step.GradientScale * (step.Options.ClipNorm / norm) : step.GradientScale;
    }
}
