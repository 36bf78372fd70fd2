using Lift.Ort.Operators;

namespace Lift.Ort.Tests.Operators;

/// <summary>
/// What onnxruntime.training.artifacts.generate_artifacts can write: the gradient builder's operators, those that its graph passes put in place of others, accumulators and
/// optimizers. The lists are data of their own, from ONNX Runtime 1.19's gradient builder and training operator definitions.
/// </summary>
[TestClass]
public sealed class EmittedOperatorsTests
{
    /// <summary>Training operators that artifacts hold.</summary>
    private const string Emitted = """
        InPlaceAccumulatorV2 InPlaceAccumulator GradientAccumulator ZeroGradient
        SoftmaxGrad SoftmaxGrad_13 LogSoftmaxGrad LogSoftmaxGrad_13 ReluGrad SigmoidGrad TanhGrad LeakyReluGrad GeluGrad FastGeluGrad QuickGeluGrad BiasGeluGrad_dX BiasFastGeluGrad_dX
        LayerNormalizationGrad SimplifiedLayerNormalizationGrad InvertibleLayerNormalizationGrad BatchNormInternal BatchNormalizationGrad
        ConvGrad ConvTransposeGrad MaxPoolGrad AveragePoolGrad GatherGrad GatherElementsGrad GatherNDGrad SliceGrad
        ConcatTraining SplitTraining ReduceSumTraining BroadcastGradientArgs DropoutGrad DivGrad SinGrad Scale ScaledSum BatchScale
        SoftmaxCrossEntropyLossGrad SoftmaxCrossEntropyLossInternal SoftmaxCrossEntropyLossInternalGrad NegativeLogLikelihoodLossInternal NegativeLogLikelihoodLossInternal2
        SoftmaxCrossEntropy SoftmaxCrossEntropyGrad SparseSoftmaxCrossEntropy SparseSoftmaxCrossEntropyGrad
        LSTMTraining LSTMGrad GRUTraining GRUGrad PadAndUnflatten FlattenAndUnpad ShrunkenGather FakeQuant FakeQuantGrad
        Group PassThrough View IsFinite IsAllFinite MixedPrecisionScale ReduceAllL2
        """;

    /// <summary>Operators of ONNX Runtime's training builds that no folder for a single process on a processor can hold, each with the reason.</summary>
    private static readonly Dictionary<string, string> impossible = new()
    {
        ["YieldOp"] = "hands control to PyTorch in the middle of a run (ORTModule)",
        ["PythonOp"] = "calls Python",
        ["PythonOpGrad"] = "calls Python",
        ["ATen"] = "calls PyTorch's library",
        ["TorchEmbedding"] = "calls PyTorch's library",
        ["Send"] = "talks to another process",
        ["Recv"] = "talks to another process",
        ["NcclAllReduce"] = "talks to other GPUs",
        ["NcclAllGather"] = "talks to other GPUs",
        ["NcclReduceScatter"] = "talks to other GPUs",
        ["AdasumAllReduce"] = "talks to other processes",
        ["MegatronF"] = "splits a layer over GPUs",
        ["MegatronG"] = "splits a layer over GPUs",
        ["RecordEvent"] = "orders the stages of a pipeline of processes",
        ["WaitEvent"] = "orders the stages of a pipeline of processes",
        ["ResizeGrad"] = "has a kernel for GPUs only, so that the gradient builder of the on-device API cannot run it",
        ["BitmaskDropoutGrad"] = "is put in by a pass for GPUs only",
        ["SoftmaxDropoutGrad"] = "is put in by a pass for GPUs only",
        ["LambOptimizer"] = "belongs to ORTTrainer, which ended with ONNX Runtime 1.13",
        ["AdamOptimizer"] = "belongs to ORTTrainer, which ended with ONNX Runtime 1.13",
        ["SGDOptimizer"] = "belongs to ORTTrainer, which ended with ONNX Runtime 1.13",
    };

    public static IEnumerable<object[]> Operators => Emitted.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(o => new object[] { o });

    [TestMethod, DynamicData(nameof(Operators))]
    public void Every_operator_that_artifacts_hold_has_a_kernel(string op) => Assert.IsTrue(TrainingOperators.Names.Contains(op), $"{op} can stand in a training model and has no kernel");

    [TestMethod]
    public void What_is_called_impossible_has_no_kernel() => Assert.AreEqual("", string.Join(", ", impossible.Keys.Intersect(TrainingOperators.Names)));
}
