using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Sessions;

internal readonly partial record struct Narrow
{
    public void Run(CudaDevice device)
    {
        if (Count > 0) device.Launch("Widen", "Narrow", Type, Grid.For(Count, perThread: 8), From, To, Count);
    }
}
