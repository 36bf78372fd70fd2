namespace Lift.Ort.Operators;

internal sealed unsafe partial class SliceGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dyTensor = context.Input(0);
        long[] dims = context.Input(1).ToLongs(), starts = context.Input(2).ToLongs();
        long[] axes = context.OptionalInput(4)?.ToLongs() ?? [.. Enumerable.Range(0, starts.Length)], steps = context.OptionalInput(5)?.ToLongs() ?? [.. starts.Select(_ => 1L)];
        long[] first = new long[dims.Length], step = [.. dims.Select(_ => 1L)];
        for (int i = 0; i < axes.Length; i++)
        {
            int a = Slices.Axis(axes[i], dims.Length);
            step[a] = steps[i];
            first[a] = Math.Clamp(starts[i] < 0 ? starts[i] + dims[a] : starts[i], 0, steps[i] < 0 ? dims[a] - 1 : dims[a]);
        }
        T* dy = dyTensor.Data<T>(), dx = context.Output<T>(0, dims);
        Simd.Clear(dx, CpuTensor.Product(dims));
        long[] position = new long[dims.Length];
        for (long i = 0; i < dyTensor.Count; i++)
        {
            long target = 0;
            for (int d = 0; d < dims.Length; d++)
            {
                long at = first[d] + position[d] * step[d];
                if ((ulong)at >= (ulong)dims[d]) throw new ArgumentException($"dY [{string.Join(", ", dyTensor.Dims)}] does not fit this slice of [{string.Join(", ", dims)}]");
                target = target * dims[d] + at;
            }
            dx[target] = dy[i];
            for (int d = dims.Length - 1; d >= 0 && ++position[d] == dyTensor.Dims[d]; d--) position[d] = 0;
        }
    }
}
