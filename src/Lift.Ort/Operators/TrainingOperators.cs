using System.Runtime.CompilerServices;
using Lift.Ort.Devices;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;
using Lift.Ort.Operators.Attentions;
using Lift.Ort.Operators.Recurrent;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Operators;

/// <summary>The training operators that a stock ONNX Runtime lacks, under their own names in com.microsoft, written in C#; and, in lift.ort, those that our own sessions use in place of chains.</summary>
public static class TrainingOperators
{
    /// <summary>Names of all operators, without their domains.</summary>
    public static IEnumerable<string> Names => Table.Select(s => s.Name);

    internal static OperatorSchema[] Table { get; } =
    [
        InPlaceAccumulatorV2.Schema,
        SoftmaxGrad.Schema,
        SoftmaxGrad.Flattened,
        LogSoftmaxGrad.Schema,
        LogSoftmaxGrad.Flattened,
        SoftmaxCrossEntropyLossInternal.Schema,
        SoftmaxCrossEntropyLossGrad.Internal,
        SoftmaxCrossEntropyLossGrad.Schema,
        GatherGrad.Schema,
        GatherElementsGrad.Schema,
        LayerNormalizationGrad.Schema,
        LayerNormalizationGrad.Simplified,
        LayerNormalizationGrad.Invertible,
        .. ActivationGrads.Schemas,
        DropoutGrad.Schema,
        ConvGrad.Schema,
        ConvTransposeGrad.Schema,
        MaxPoolGrad.Schema,
        AveragePoolGrad.Schema,
        BatchNormInternal.Schema,
        BatchNormalizationGrad.Schema,
        LstmTraining.Schema,
        LstmGrad.Schema,
        GruTraining.Schema,
        GruGrad.Schema,
        ConcatTraining.Schema,
        SplitTraining.Schema,
        SliceGrad.Schema,
        ReduceSumTraining.Schema,
        BroadcastGradientArgs.Schema,
        ZeroGradient.Schema,
        Group.Schema,
        ScaledSum.Schema,
        BatchScale.Schema,
        Scale.Schema,
        MixedPrecisionScale.Schema,
        DivGrad.Schema,
        SinGrad.Schema,
        FakeQuant.Schema,
        FakeQuantGrad.Schema,
        IsFinite.Schema,
        IsAllFinite.Schema,
        ReduceAllL2.Schema,
        ShrunkenGather.Schema,
        PadAndUnflatten.Schema,
        FlattenAndUnpad.Schema,
        GatherNDGrad.Schema,
        View.Schema,
        PassThrough.Schema,
        SoftmaxCrossEntropy.Schema,
        SoftmaxCrossEntropyGrad.Schema,
        SparseSoftmaxCrossEntropy.Schema,
        SparseSoftmaxCrossEntropyGrad.Schema,
        .. NegativeLogLikelihoodLossInternal.Schemas,
        InPlaceAccumulator.Schema,
        InPlaceAccumulator.Gradient,
        CrossEntropyStep.Schema,
        LinearCrossEntropyStep.Schema,
        GatedUnit.Schema,
        GatedUnitGrad.Schema,
        Rotary.Schema,
        Attention.Schema,
        AttentionGrad.Schema,
        Widen.Schema,
        DequantizeNBits.Schema,
    ];

    private static readonly Lazy<OperatorDomain[]> domains =
        new(() => [.. Table.GroupBy(s => s.Domain).Select(d => new OperatorDomain(d.Key, d.SelectMany(s => s.Overloads())))]);

    /// <summary>
    /// Makes the operators known to every session opened with <paramref name="options"/>. A model-local function of the same name and domain gives way to them.
    /// </summary>
    public static void AddTo(SessionOptions options)
    {
        foreach (OperatorDomain domain in domains.Value) domain.AddTo(options);
    }

    /// <summary>The same, with the halves for a device where operators have them; the others run on the CPU, and ONNX Runtime copies for them.</summary>
    public static void AddTo(SessionOptions options, IDevice device) => device.Run(new AddOperators(options));

    /// <summary>True where an operator has a half for the device, so that nothing is copied to run it.</summary>
    internal static bool RunOn(IDevice device, string name)
    {
        var asked = new HasHalf(Table.First(s => s.Name == name), new());
        device.Run(asked);
        return asked.Answer.Value;
    }

    /// <summary>True where the operator's half for the device (null: the CPU) takes this type as T.</summary>
    internal static bool Takes(IDevice? device, string name, ElementType type)
    {
        OperatorSchema schema = Table.First(s => s.Name == name);
        int typed = Array.FindIndex(schema.Inputs, p => p.Type == "T");
        var asked = new OverloadsOn(schema, new());
        if (device is null) asked.Answer.Value = schema.Overloads();
        else device.Run(asked);
        return asked.Answer.Value!.Any(o => o.InputTypes[typed] == type);
    }

    /// <summary>Asks each device for its halves.</summary>
    private readonly record struct OverloadsOn(OperatorSchema Schema, StrongBox<IEnumerable<OperatorOverload>> Answer) : IKernel
    {
        public void Run(CpuDevice device) => Answer.Value = Schema.Overloads();

        public void Run(CudaDevice device) => Answer.Value = Schema.Overloads(device);
    }

    /// <summary>Asks each device for its half.</summary>
    private readonly record struct HasHalf(OperatorSchema Schema, StrongBox<bool> Answer) : IKernel
    {
        public void Run(CpuDevice device) => Answer.Value = true;

        public void Run(CudaDevice device) => Answer.Value = Schema.OnCuda;
    }

    /// <summary>Registers each device's operators.</summary>
    private readonly record struct AddOperators(SessionOptions Options) : IKernel
    {
        public void Run(CpuDevice device) => AddTo(Options);

        public void Run(CudaDevice device)
        {
            OperatorDomain[] own = device.Remember(Table, () => Table.GroupBy(s => s.Domain).Select(d => new OperatorDomain(d.Key, d.SelectMany(s => s.Overloads(device)), device)).ToArray());
            foreach (OperatorDomain domain in own) domain.AddTo(Options);
        }
    }
}
