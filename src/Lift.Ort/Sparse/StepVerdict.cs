using Lift.Ort.Devices;

namespace Lift.Ort.Sparse;

/// <summary>
/// What a step's numbers say, without the host: <c>Verdict</c> = [Σ gradient², good, losses …], good being 1 where all of them are finite, else 0, and the step before was good
/// where <paramref name="Sticky"/>. An optimizer step that is given the verdict is left out where it is not good, and clips by its norm.
/// </summary>
/// <param name="Losses">The losses of the micro-batches, from the first on.</param>
/// <param name="Gradient">The compact vector.</param>
/// <param name="Verdict">Two numbers, and one per micro-batch.</param>
internal readonly partial record struct StepVerdict(DeviceBuffer<float> Losses, DeviceBuffer<float> Gradient, DeviceBuffer<double> Verdict, bool Sticky) : IKernel
{
    public const int Squares = 0, Good = 1, FirstLoss = 2;
}
