namespace Lift.Ort.Operators;

internal sealed unsafe partial class IsFinite
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor input = context.Input(0);
        T* x = input.Data<T>();
        bool* y = context.Output<bool>(0, input.Dims);
        for (long i = 0; i < input.Count; i++) y[i] = T.IsFinite(x[i]);
    }
}

internal sealed unsafe partial class IsAllFinite
{
    protected override void Run<T>(CpuContext context)
    {
        bool all = true;
        foreach (CpuTensor input in Enumerable.Range(0, context.InputCount).Select(context.Input))
        {
            T* x = input.Data<T>();
            for (long i = 0; all && i < input.Count; i++) all = !(infinities && T.IsInfinity(x[i])) && !(nans && T.IsNaN(x[i]));
        }
        *context.Output<bool>(0) = all;
    }
}

internal sealed unsafe partial class ReduceAllL2
{
    protected override void Run<T>(CpuContext context)
    {
        double sum = 0;
        foreach (CpuTensor input in Enumerable.Range(0, context.InputCount).Select(context.Input))
        {
            T* x = input.Data<T>();
            for (long i = 0; i < input.Count; i++) sum += double.CreateChecked(x[i]) * double.CreateChecked(x[i]);
        }
        *context.Output<T>(0) = T.CreateChecked(Math.Sqrt(sum));
    }
}
