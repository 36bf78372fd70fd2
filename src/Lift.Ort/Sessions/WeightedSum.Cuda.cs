using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Sessions;

internal readonly partial record struct WeightedSum
{
    public void Run(CudaDevice device) =>
        device.Launch("AddScaled", "AddScaled", null, Grid.For(Sum.Length, perThread: 4), Sum.Pointer, Term.Pointer, Share, First ? 1 : 0, Sum.Length);
}
