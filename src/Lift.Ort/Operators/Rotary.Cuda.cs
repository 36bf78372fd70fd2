using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Operators;

internal sealed partial class Rotary : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor x = context.Input(0), cosine = context.Input(1), sine = context.Input(2);
        long width = x.Dims[^1], half = width / 2, times = cosine.Count / Math.Max(1, width);
        if (width % 2 != 0 || cosine.Count != sine.Count || times * width != cosine.Count || (times > 0 && x.Count % (times * width) != 0))
            throw new ArgumentException($"x [{string.Join(", ", x.Dims)}] does not fit tables of [{string.Join(", ", cosine.Dims)}]");
        nint y = context.Output(0, x.Dims);
        if (x.Count > 0) context.Launch("Rotary", "Rotary", x.Type, Grid.For(x.Count / 2, perThread: 4), x.Address, cosine.Address, sine.Address, y, half, times, backward ? 1 : 0, x.Count / 2);
    }
}
