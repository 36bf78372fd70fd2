using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Operators;

internal sealed partial class SoftmaxGrad : ICudaKernel
{
    public void Run(CudaContext context) => Run(context, axis, flatten, log: false);

    /// <summary>Both gradients differ in one line of their kernel only.</summary>
    public static void Run(CudaContext context, long axis, bool flatten, bool log)
    {
        CpuTensor dy = context.Input(0), y = context.Input(1);
        Slices s = flatten ? Slices.From(dy.Dims, axis) : Slices.Along(dy.Dims, axis);
        nint dx = context.Output(0, dy.Dims);
        if (dy.Count == 0) return;
        if (s.Inner == 1) context.Launch("SoftmaxGrad", "SoftmaxGrad", dy.Type, new Grid(s.Outer, Grid.Block), dy.Address, y.Address, dx, s.Length, log ? 1 : 0);
        else context.Launch("SoftmaxGrad", "SoftmaxGradApart", dy.Type, Grid.For(s.Count), dy.Address, y.Address, dx, s.Count, s.Length, s.Inner, log ? 1 : 0);
    }
}
