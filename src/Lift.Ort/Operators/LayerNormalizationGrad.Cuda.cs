using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Operators;

internal sealed partial class LayerNormalizationGrad : ICudaKernel
{
    private const string CudaFile = "LayerNormalizationGrad";

    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), x = context.Input(1), scale = context.Input(2);
        Slices s = Slices.From(x.Dims, axis);
        if (scale.Count != s.Length) throw new ArgumentException($"scale has {scale.Count} elements, a row {s.Length}");
        nint third = form == NormalizationForm.Simplified ? 0 : context.Address(3), invStd = context.Address(form == NormalizationForm.Simplified ? 3 : 4);
        nint dx = context.Output(0, x.Dims), dGamma = context.Output(1, scale.Dims), dBeta = form == NormalizationForm.Simplified ? 0 : context.Output(2, scale.Dims);
        int kind = (int)form;
        if (dGamma != 0 || dBeta != 0)
        {
            int parts = (int)Math.Clamp(s.Outer / 32, 1, 64);
            nint sums = context.Scratch(2L * parts * s.Length * sizeof(float));
            context.Launch(CudaFile, "ColumnSums", x.Type, new Grid(parts * ((s.Length + Grid.Block - 1) / Grid.Block), Grid.Block), dy.Address, x.Address, scale.Address, third, invStd, sums, s.Outer, s.Length, parts, kind);
            context.Launch(CudaFile, "CollectSums", x.Type, Grid.For(s.Length), sums, s.Length, parts, dGamma, dBeta);
        }
        if (x.Count > 0) context.Launch(CudaFile, "RowGrad", x.Type, new Grid(s.Outer, Grid.Block), dy.Address, x.Address, scale.Address, third, invStd, dx, s.Length, kind);
    }
}
