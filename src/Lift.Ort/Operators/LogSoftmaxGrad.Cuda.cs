namespace Lift.Ort.Operators;

internal sealed partial class LogSoftmaxGrad : ICudaKernel
{
    public void Run(CudaContext context) => SoftmaxGrad.Run(context, axis, flatten, log: true);
}
