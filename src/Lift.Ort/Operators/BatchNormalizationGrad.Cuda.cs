using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Operators;

internal sealed partial class BatchNormInternal : ICudaKernel
{
    internal const string CudaFile = "BatchNormalization";

    public void Run(CudaContext context)
    {
        CpuTensor x = context.Input(0);
        Channels c = Fit(x, context.Input(1), context.Input(2), context.Input(3), context.Input(4));
        nint y = context.Output(0, x.Dims), runningMean = context.Output(1, c.Count), runningVariance = context.Output(2, c.Count), savedMean = context.Output(3, c.Count), savedInverse = context.Output(4, c.Count);
        int parts = training ? c.Parts : 0;
        nint[] scratch = context.Parts(2 * c.Count * sizeof(float), 2 * parts * c.Count * sizeof(float));
        if (training) context.Launch(CudaFile, "BatchParts", x.Type, new Grid(c.Count * parts, Grid.Block), x.Address, scratch[1], c.Count, c.Space, c.Elements, parts);
        if (c.Count > 0)
            context.Launch(CudaFile, "BatchStatistics", x.Type, Grid.For(c.Count), scratch[1], context.Address(1), context.Address(2), context.Address(3), context.Address(4), scratch[0],
                runningMean, runningVariance, savedMean, savedInverse, c.Count, c.Elements, parts, epsilon, momentum);
        if (x.Count > 0) context.Launch(CudaFile, "BatchNormalize", x.Type, Grid.For(x.Count, perThread: 8), x.Address, scratch[0], y, c.Count, c.Space, x.Count);
    }
}

internal sealed partial class BatchNormalizationGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), x = context.Input(1);
        Channels c = Fit(dy, x, context.Input(2), context.Input(3), context.Input(4));
        nint dx = context.Output(0, x.Dims), dScale = context.Output(1, c.Count), dBias = context.Output(2, c.Count);
        if (c.Count == 0) return;
        nint[] scratch = context.Parts(4 * c.Count * sizeof(float), 2 * c.Parts * c.Count * sizeof(float));
        const string file = BatchNormInternal.CudaFile;
        context.Launch(file, "BatchGradParts", x.Type, new Grid(c.Count * c.Parts, Grid.Block), dy.Address, x.Address, context.Address(3), scratch[1], c.Count, c.Space, c.Elements, c.Parts);
        context.Launch(file, "BatchGradSums", x.Type, Grid.For(c.Count), scratch[1], context.Address(2), context.Address(3), context.Address(4), scratch[0], dScale, dBias, c.Count, c.Elements, c.Parts);
        if (dx != 0 && x.Count > 0) context.Launch(file, "BatchGrad", x.Type, Grid.For(x.Count, perThread: 8), dy.Address, x.Address, scratch[0], dx, c.Count, c.Space, x.Count);
    }
}
