namespace Lift.Ort.Operators;

internal sealed unsafe partial class InPlaceAccumulator
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor sum = context.Input(0), value = context.Input(1);
        Fit(sum, value);
        T* old = sum.Data<T>(), result = context.Output<T>(0, sum.Dims);
        if (result != old) Simd.Copy(old, result, sum.Count);
        if (context.OptionalInput(2) is { } signal && !*signal.Data<bool>()) return;
        Simd.Add(value.Data<T>(), result, sum.Count);
    }

    private static void Fit(CpuTensor sum, CpuTensor value)
    {
        if (sum.Count != value.Count) throw new ArgumentException($"the buffer has {sum.Count} elements, the gradient {value.Count}");
    }
}
