using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

/// <summary>struct Labels of CrossEntropy.cu, by value.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly struct CudaLabels(CpuTensor labels, nint weights, long ignored, long classes)
{
    private readonly nint at = labels.Address, weight = weights;
    private readonly long ignored = ignored, classes = classes;
    private readonly int wide = labels.Type == ElementType.Int64 ? 1 : 0, pad = 0;

    /// <exception cref="ArgumentException">Labels and scores do not fit.</exception>
    public static CudaLabels Of(CpuTensor scores, CpuTensor labels, nint weights, long ignored, out Slices slices)
    {
        slices = Slices.Along(scores.Dims, 1);
        return labels.Count == slices.Count ? new(labels, weights, ignored, slices.Length) : throw new ArgumentException($"{slices.Count} rows of scores and {labels.Count} labels do not fit");
    }
}

internal sealed unsafe partial class SoftmaxCrossEntropyLossInternal : ICudaKernel
{
    private const string CudaFile = "CrossEntropy";

    public void Run(CudaContext context)
    {
        CpuTensor scores = context.Input(0);
        long ignored = context.OptionalInput(3) is { } index ? index.Integer(0) : long.MinValue;
        CudaLabels labels = CudaLabels.Of(scores, context.Input(1), context.Address(2), ignored, out Slices s);
        nint logProb = context.Output(1, scores.Dims), output = context.Output(0, reduction == LossReduction.None ? context.Input(1).Dims : []);
        nint total = context.Scratch(sizeof(double) + s.Count * sizeof(float)), losses = total + sizeof(double);
        KernelArgument given = KernelArgument.Of(&labels);
        context.Launch(CudaFile, "SliceLoss", scores.Type, new Grid(s.Count, Grid.Block), scores.Address, given, logProb, losses, s.Length, s.Inner);
        Reduce(context, scores.Type, reduction, given, s.Count, total, losses, output);
    }

    /// <summary>The losses of single labels as the operator's output; <paramref name="total"/> is room for a double.</summary>
    public static void Reduce(CudaContext context, ElementType type, LossReduction reduction, KernelArgument labels, long count, nint total, nint losses, nint output)
    {
        if (reduction == LossReduction.None)
        {
            if (count > 0) context.Launch(CudaFile, "CopyLosses", type, Grid.For(count), losses, count, output);
            return;
        }
        bool mean = reduction == LossReduction.Mean;
        if (mean) context.Launch(CudaFile, "TotalWeight", type, new Grid(1, Grid.Block), labels, count, total);
        context.Launch(CudaFile, "SumLosses", type, new Grid(1, Grid.Block), losses, count, mean ? total : 0, output);
    }
}

internal sealed unsafe partial class SoftmaxCrossEntropyLossGrad : ICudaKernel
{
    private const string CudaFile = "CrossEntropy";

    public void Run(CudaContext context)
    {
        CpuTensor scores = context.Input(1);
        long ignore = ignored ?? (context.OptionalInput(4) is { } index ? index.Integer(0) : long.MinValue);
        CudaLabels labels = CudaLabels.Of(scores, context.Input(2), context.Address(3), ignore, out Slices s);
        nint dx = context.Output(0, scores.Dims), total = 0;
        KernelArgument given = KernelArgument.Of(&labels);
        if (reduction == LossReduction.Mean)
        {
            total = context.Scratch(sizeof(double));
            context.Launch(CudaFile, "TotalWeight", scores.Type, new Grid(1, Grid.Block), given, s.Count, total);
        }
        context.Launch(CudaFile, "SliceGrad", scores.Type, new Grid(s.Count, Grid.Block), context.Address(0), reduction == LossReduction.None ? 1 : 0, scores.Address, given,
            context.Address(biasInput), total, dx, s.Length, s.Inner);
    }
}

internal sealed unsafe partial class CrossEntropyStep : ICudaKernel
{
    private const string CudaFile = "CrossEntropy";

    public void Run(CudaContext context)
    {
        CpuTensor logits = context.Input(0);
        CudaLabels labels = CudaLabels.Of(logits, context.Input(1), 0, ignored, out Slices s);
        nint dx = context.Output(0, logits.Dims), loss = context.Output(1, context.Input(2).Dims);
        nint total = context.Scratch(sizeof(double) + s.Count * sizeof(float)), losses = total + sizeof(double);
        KernelArgument given = KernelArgument.Of(&labels);
        context.Launch(CudaFile, "TotalWeight", logits.Type, new Grid(1, Grid.Block), given, s.Count, total);
        context.Launch(CudaFile, "RowStep", logits.Type, new Grid(s.Count, Grid.Block), logits.Address, given, context.Address(2), total, dx, losses, s.Length);
        context.Launch(CudaFile, "SumLosses", ElementType.Float, new Grid(1, Grid.Block), losses, s.Count, total, loss);
    }
}
