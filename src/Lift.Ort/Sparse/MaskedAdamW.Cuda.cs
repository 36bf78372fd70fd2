using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Sparse;

public readonly unsafe partial record struct MaskedAdamW
{
    public void Run(CudaDevice device)
    {
        SegmentTable table = SegmentTable.Of(device, Segments);
        var numbers = new CudaNumbers(new Numbers(Step));
        device.Launch("MaskedAdamW", "MaskedAdamW", null, table.Grid, table.Segments, table.Parts, Gradient.Pointer, First.Pointer, Second.Pointer, Master?.Pointer ?? 0, KernelArgument.Of(&numbers),
            Verdict?.Pointer ?? 0, Step.Options.ClipNorm, Step.GradientScale);
    }

    /// <summary>struct Numbers of MaskedAdamW.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct CudaNumbers(Numbers n)
    {
        private readonly float b1 = n.b1, c1 = n.c1, b2 = n.b2, c2 = n.c2, a = n.a, root = n.root, epsilon = n.epsilon, decay = n.decay, scale = n.scale, clip = n.clip;
        private readonly int torch = n.torch ? 1 : 0;
    }
}
