using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Operators;

internal sealed partial class ElementwiseGrad<TFunction> : ICudaKernel
{
    /// <summary>The kernel is named as the function is.</summary>
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), x = context.Input(1);
        if (dy.Count != x.Count) throw new ArgumentException($"dY has {dy.Count} elements, the other input {x.Count}");
        nint dx = context.Output(0, dy.Dims);
        context.Launch("ActivationGrads", typeof(TFunction).Name, dy.Type, Grid.For(dy.Count, perThread: 8), dy.Address, x.Address, dx, function.Parameter, dy.Count);
    }
}

internal sealed partial class BiasGrad<TFunction> : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), x = context.Input(1), bias = context.Input(2);
        nint dx = context.Output(0, dy.Dims);
        if (dy.Count > 0) context.Launch("ActivationGrads", $"Bias{typeof(TFunction).Name}", dy.Type, Grid.For(dy.Count, perThread: 4), dy.Address, x.Address, bias.Address, dx, bias.Count, dy.Count);
    }
}
