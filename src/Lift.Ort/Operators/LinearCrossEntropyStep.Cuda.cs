using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class LinearCrossEntropyStep : ICudaKernel
{
    private const string CudaFile = "CrossEntropy";

    /// <summary>Bytes that the logits of a chunk may take, 4 for each; gradients in 16 bits lie in the same memory.</summary>
    internal static long CudaBudget { get; set; } = 256 << 20;

    /// <summary>Rows of a chunk at least.</summary>
    internal static long SmallestCudaChunk { get; set; } = 128;

    public void Run(CudaContext context)
    {
        CpuTensor hidden = context.Input(0), weight = context.Input(1), given = context.Input(2);
        CpuTensor? bias = context.OptionalInput(4);
        Sizes s = Fit(hidden, weight, given, bias);
        ElementType type = hidden.Type;
        bool narrow = type != ElementType.Float;
        int size = type.Bits() / 8;
        nint loss = context.Output(0), dy = context.Address(3), dx = 0, dw = 0, db = 0;
        if (dy != 0) (dx, dw, db) = (context.Output(1, HiddenDims(hidden, s)), context.Output(2, weight.Dims), context.Output(3, s.Classes));
        if (s.Rows == 0)
        {
            if (dw != 0) context.Fill(dw, 0, weight.Count * sizeof(float));
            if (db != 0) context.Fill(db, 0, s.Classes * sizeof(float));
        }
        long chunk = s.Chunk(CudaBudget, sizeof(float), SmallestCudaChunk);
        nint[] scratch = context.Parts(sizeof(double), s.Rows * sizeof(float), chunk * s.Classes * sizeof(float), dx != 0 && narrow ? chunk * s.Width * sizeof(float) : 0);
        var (total, losses, z, wide) = (scratch[0], scratch[1], scratch[2], scratch[3]);
        CudaLabels labels = new(given, 0, ignored, s.Classes);
        KernelArgument of = KernelArgument.Of(&labels);
        context.Launch(CudaFile, "TotalWeight", type, new Grid(1, Grid.Block), of, s.Rows, total);
        CudaOperand w = new(weight.Address, type, weight.Dims[1], Transposed: turned);
        long step = s.Classes * sizeof(float) / size; // gradients begin where the row's logits began
        CudaOperand dz = new(z, type, step);
        for (long first = 0; first < s.Rows; first += chunk)
        {
            long count = Math.Min(chunk, s.Rows - first);
            CudaOperand x = new(hidden.Address + (nint)(first * s.Width * size), type, s.Width);
            context.Multiply(count, s.Classes, s.Width, x, w, new(z, ElementType.Float, s.Classes));
            context.Launch(CudaFile, "LinearRow", type, new Grid(count, Grid.Block), z, bias?.Address ?? 0, scale, softcap, of, first, dy, total, dy != 0 ? z : 0, losses, s.Classes);
            if (db != 0) context.Launch(CudaFile, "AddRows", type, Grid.For(s.Classes), z, step, count, db, s.Classes, first > 0 ? 1 : 0);
            if (dw != 0 && turned) context.Multiply(s.Classes, s.Width, count, dz with { Transposed = true }, x, new(dw, ElementType.Float, s.Width), add: first > 0);
            if (dw != 0 && !turned) context.Multiply(s.Width, s.Classes, count, x with { Transposed = true }, dz, new(dw, ElementType.Float, s.Classes), add: first > 0);
            if (dx == 0) continue;
            nint to = dx + (nint)(first * s.Width * size);
            context.Multiply(count, s.Width, s.Classes, dz, w with { Transposed = !turned }, new(narrow ? wide : to, ElementType.Float, s.Width));
            if (narrow) context.Narrow(wide, to, type, count * s.Width);
        }
        context.Launch(CudaFile, "SumLosses", ElementType.Float, new Grid(1, Grid.Block), losses, s.Rows, total, loss);
    }
}
