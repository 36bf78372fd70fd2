using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class DropoutGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), mask = context.Input(1);
        if (mask.Count != dy.Count) throw new ArgumentException($"dy has {dy.Count} elements, the mask {mask.Count}");
        nint dx = context.Output(0, dy.Dims);
        bool identity = context.OptionalInput(3) is { } training && !*training.Data<bool>();
        if (identity && dx != dy.Address) context.Copy(dy.Address, dx, dy.Count * dy.Type.Bits() / 8);
        if (identity || dy.Count == 0) return;
        float ratio = context.OptionalInput(2) is { } r ? Number(r) : 0.5f;
        context.Launch("DropoutGrad", "DropoutGrad", dy.Type, Grid.For(dy.Count, perThread: 4), dy.Address, mask.Address, dx, 1 / (1 - ratio), dy.Count);
    }

    private static float Number(CpuTensor t) => t.Type switch
    {
        ElementType.Float => *t.Data<float>(),
        ElementType.Float16 => (float)*t.Data<Half>(),
        _ => BitConverter.UInt32BitsToSingle((uint)*t.Data<ushort>() << 16),
    };
}
