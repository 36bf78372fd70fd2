namespace Lift.Ort.Operators;

internal sealed unsafe partial class DropoutGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0), mask = context.Input(1);
        if (mask.Count != dy.Count) throw new ArgumentException($"dy has {dy.Count} elements, the mask {mask.Count}");
        T ratio = context.OptionalInput(2) is { } r ? *r.Data<T>() : T.CreateChecked(0.5), scale = T.One / (T.One - ratio);
        bool identity = context.OptionalInput(3) is { } training && !*training.Data<bool>();
        T* g = dy.Data<T>(), dx = context.Output<T>(0, dy.Dims);
        bool* kept = mask.Data<bool>();
        context.ForEachPart(dy.Count, 2, (from, to) =>
        {
            for (long i = from; i < to; i++) dx[i] = identity ? g[i] : kept[i] ? g[i] * scale : T.Zero;
        });
    }
}
