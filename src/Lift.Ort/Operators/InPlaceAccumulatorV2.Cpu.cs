namespace Lift.Ort.Operators;

internal sealed unsafe partial class InPlaceAccumulatorV2
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor sum = context.Input(0), value = context.Input(1);
        if (sum.Count != value.Count) throw new ArgumentException($"the buffer has {sum.Count} elements, the gradient {value.Count}");
        bool overwrite = context.OptionalInput(2) is { } flag && *flag.Data<bool>();
        T* s = sum.Data<T>(), v = value.Data<T>(), copy = context.Output<T>(1, sum.Dims);
        *context.Output<bool>(0, 1) = true;
        context.ForEachPart(sum.Count, 1, (from, to) =>
        {
            if (overwrite) Simd.Copy(v + from, s + from, to - from);
            else Simd.Add(v + from, s + from, to - from);
            if (copy != null && copy != s) Simd.Copy(s + from, copy + from, to - from);
        });
    }
}
