using Lift.Ort.Devices;

namespace Lift.Ort.Sparse;

/// <summary>
/// Accumulates gradients: sum = scale·value where <paramref name="Overwrite"/>, else sum += scale·value. With scale 1/micro-batches
/// this is the average per example, with scale tokens/all tokens the average per token.
/// </summary>
public readonly partial record struct AddScaled(DeviceBuffer<float> Sum, DeviceBuffer<float> Value, float Scale, bool Overwrite) : IKernel;

/// <summary>Sum of squares of a vector, in float64; the result lies in <c>Result[0]</c>. Independent of the number of threads.</summary>
public readonly partial record struct SquaredNorm(DeviceBuffer<float> Value, double[] Result) : IKernel;
