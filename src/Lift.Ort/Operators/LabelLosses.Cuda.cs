using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed partial class SoftmaxCrossEntropy : ICudaKernel
{
    internal const string CudaFile = "LabelLosses";

    public void Run(CudaContext context)
    {
        CpuTensor scores = context.Input(0), labels = context.Input(1);
        var (rows, classes) = ScoreRows.Of(scores);
        if (labels.Count != scores.Count) throw new ArgumentException($"{scores.Count} scores and {labels.Count} label probabilities do not fit");
        nint y = context.Output(0), log = context.Output(1, scores.Dims), losses = context.Scratch(rows * sizeof(float));
        context.Launch(CudaFile, "DenseLoss", scores.Type, new Grid(rows, Grid.Block), scores.Address, labels.Address, log, losses, classes);
        context.Launch(CudaFile, "AddLosses", scores.Type, new Grid(1, Grid.Block), losses, rows, (nint)0, mean ? (double)rows : 1.0, y);
    }
}

internal sealed partial class SoftmaxCrossEntropyGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor log = context.Input(1), labels = context.Input(2);
        if (labels.Count != log.Count) throw new ArgumentException($"{log.Count} scores and {labels.Count} label probabilities do not fit");
        nint dx = context.Output(0, log.Dims);
        if (log.Count > 0)
            context.Launch(SoftmaxCrossEntropy.CudaFile, "DenseGrad", log.Type, Grid.For(log.Count, perThread: 8), context.Address(0), log.Address, labels.Address, mean ? (float)ScoreRows.Of(log).Rows : 1f, dx, log.Count);
    }
}

internal sealed partial class SparseSoftmaxCrossEntropy : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor scores = context.Input(0), labels = context.Input(1);
        var (rows, classes) = ScoreRows.Of(scores);
        nint y = context.Output(0), log = context.Output(1, scores.Dims);
        nint[] scratch = context.Parts(sizeof(double), rows * sizeof(float));
        nint total = mean ? Total(context, context.OptionalInput(2), labels, rows, scratch[0]) : 0;
        context.Launch(SoftmaxCrossEntropy.CudaFile, "SparseLoss", scores.Type, new Grid(rows, Grid.Block), scores.Address, labels.Address, labels.Type == ElementType.Int64 ? 1 : 0, context.Address(2), log, scratch[1], classes);
        context.Launch(SoftmaxCrossEntropy.CudaFile, "AddLosses", scores.Type, new Grid(1, Grid.Block), scratch[1], rows, total, mean ? (double)rows : 1.0, y);
    }

    /// <summary>The address of the weights' sum; 0 where there are none.</summary>
    public static nint Total(CudaContext context, CpuTensor? weight, CpuTensor labels, long rows, nint at)
    {
        if (labels.Count != rows || (weight is { } given && given.Count != rows)) throw new ArgumentException($"{rows} rows of scores, {labels.Count} labels and {weight?.Count ?? rows} weights do not fit");
        if (weight is not { } w) return 0;
        context.Launch(SoftmaxCrossEntropy.CudaFile, "TotalOfWeights", w.Type, new Grid(1, Grid.Block), w.Address, w.Count, at);
        return at;
    }
}

internal sealed partial class SparseSoftmaxCrossEntropyGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor log = context.Input(1), labels = context.Input(2);
        var (rows, classes) = ScoreRows.Of(log);
        nint dx = context.Output(0, log.Dims), total = mean ? SparseSoftmaxCrossEntropy.Total(context, context.OptionalInput(3), labels, rows, context.Scratch(sizeof(double))) : 0;
        context.Launch(SoftmaxCrossEntropy.CudaFile, "SparseGrad", log.Type, new Grid(rows, Grid.Block), context.Address(0), log.Address, labels.Address, labels.Type == ElementType.Int64 ? 1 : 0, context.Address(3),
            total, mean ? (float)rows : 1f, dx, classes);
    }
}

internal sealed unsafe partial class NegativeLogLikelihoodLossInternal : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor logs = context.Input(0), target = context.Input(1);
        long ignored = context.OptionalInput(3) is { } index ? index.Integer(0) : long.MinValue;
        CudaLabels labels = CudaLabels.Of(logs, target, context.Address(2), ignored, out Slices s);
        nint output = context.Output(0, reduction == LossReduction.None ? target.Dims : []);
        nint[] scratch = context.Parts(sizeof(double), s.Count * sizeof(float));
        KernelArgument given = KernelArgument.Of(&labels);
        if (s.Count > 0) context.Launch("CrossEntropy", "PickLosses", logs.Type, Grid.For(s.Count), logs.Address, given, scratch[1], s.Count, s.Length, s.Inner);
        SoftmaxCrossEntropyLossInternal.Reduce(context, logs.Type, reduction, given, s.Count, scratch[0], scratch[1], output);
    }
}
