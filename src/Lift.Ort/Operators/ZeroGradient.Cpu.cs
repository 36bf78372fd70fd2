namespace Lift.Ort.Operators;

internal sealed unsafe partial class ZeroGradient
{
    protected override void Run<T>(CpuContext context) => Simd.Clear(context.Output<T>(0, context.Input(0).Dims), context.Input(0).Count);
}

internal sealed unsafe partial class Group
{
    public override void Run(CpuContext context) => *context.Output<bool>(0) = true;
}
