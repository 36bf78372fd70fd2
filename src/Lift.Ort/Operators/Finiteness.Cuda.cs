using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Operators;

internal sealed partial class IsFinite : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor x = context.Input(0);
        nint y = context.Output(0, x.Dims);
        if (x.Count > 0) context.Launch("Finiteness", "IsFinite", x.Type, Grid.For(x.Count, perThread: 4), x.Address, y, x.Count);
    }
}

internal sealed partial class IsAllFinite : ICudaKernel
{
    public void Run(CudaContext context)
    {
        nint found = context.Scratch(sizeof(uint)), y = context.Output(0);
        context.Fill(found, 0, sizeof(uint));
        CpuTensor[] inputs = [.. Enumerable.Range(0, context.InputCount).Select(context.Input)];
        foreach (CpuTensor x in inputs)
            if (x.Count > 0) context.Launch("Finiteness", "FindNotFinite", x.Type, Grid.For(x.Count, perThread: 16), x.Address, infinities ? 1 : 0, nans ? 1 : 0, found, x.Count);
        context.Launch("Finiteness", "SayNotFound", inputs[0].Type, new Grid(1, Grid.Block), found, y);
    }
}

internal sealed partial class ReduceAllL2 : ICudaKernel
{
    private const int MostParts = 1024;

    public void Run(CudaContext context)
    {
        CpuTensor[] inputs = [.. Enumerable.Range(0, context.InputCount).Select(context.Input)];
        Grid[] grids = [.. inputs.Select(x => new Grid(x.Count == 0 ? 0 : Math.Min(MostParts, Grid.For(x.Count, perThread: 16).Blocks), Grid.Block))];
        long count = grids.Sum(g => g.Blocks);
        nint parts = context.Scratch(count * sizeof(double)), y = context.Output(0), at = parts;
        for (int i = 0; i < inputs.Length; i++)
        {
            context.Launch("Finiteness", "SquareSums", inputs[i].Type, grids[i], inputs[i].Address, at, inputs[i].Count);
            at += (nint)(grids[i].Blocks * sizeof(double));
        }
        context.Launch("Finiteness", "RootOfSums", inputs[0].Type, new Grid(1, Grid.Block), parts, (int)count, y);
    }
}
