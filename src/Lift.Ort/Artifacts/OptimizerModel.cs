using Google.Protobuf;
using Lift.Ort.Onnx;

namespace Lift.Ort.Artifacts;

/// <summary>AdamW's settings in optimizer_model.onnx; the defaults are PyTorch's formula (mode 0) without weight decay.</summary>
/// <param name="LearningRate">Null (the default) takes the rate that the host sets at run time; a number is built in, for hosts that cannot set one.</param>
public sealed record OptimizerSettings(float Beta1 = 0.9f, float Beta2 = 0.999f, float Epsilon = 1e-8f, float WeightDecay = 0, float? LearningRate = null);

/// <summary>The optimizer model of ONNX Runtime's training API: one AdamWOptimizer node over sequences of tensors, the same for every model.</summary>
internal static class OptimizerModel
{
    private const string Rate = "learning_rate", FixedRate = "fixed_learning_rate", Done = "updated_flag";
    private static readonly string[] sequences = ["params", "gradients", "first_order_moments", "second_order_moments"];

    /// <param name="opset">Version of the standard operators, 17 to 21; AdamWOptimizer itself is com.microsoft 1.</param>
    public static ModelProto Make(OptimizerSettings settings, int opset = 17)
    {
        var node = new NodeProto { Domain = "com.microsoft", OpType = "AdamWOptimizer", Name = "AdamWOptimizer", Output = { Done } };
        node.Input.AddRange([settings.LearningRate is null ? Rate : FixedRate, "step", .. sequences]);
        node.Attribute.AddRange([
            Number("alpha", settings.Beta1), Number("beta", settings.Beta2), Number("epsilon", settings.Epsilon), Number("weight_decay", settings.WeightDecay),
            new() { Name = "correct_bias", Type = AttributeProto.Types.AttributeType.Int, I = 1 },
            new() { Name = "adam_mode", Type = AttributeProto.Types.AttributeType.Int, I = 0 },
        ]);
        var graph = new GraphProto { Name = "optimizer", Node = { node } };
        graph.Input.Add(Vector(Rate, ElementType.Float));
        graph.Input.Add(Vector("step", ElementType.Int64));
        foreach (string name in sequences)
        {
            var element = new TypeProto { TensorType = new() { ElemType = (int)ElementType.Float } };
            graph.Input.Add(new ValueInfoProto { Name = name, Type = new() { SequenceType = new() { ElemType = element } } });
        }
        graph.Output.Add(Vector(Done, ElementType.Bool));
        if (settings.LearningRate is { } rate)
            graph.Initializer.Add(new TensorProto { Name = FixedRate, DataType = (int)ElementType.Float, Dims = { 1 }, RawData = ByteString.CopyFrom(BitConverter.GetBytes(rate)) });
        return new ModelProto
        {
            IrVersion = 8,
            ProducerName = "Lift.Ort",
            Graph = graph,
            OpsetImport = { new OperatorSetIdProto { Domain = "", Version = opset }, new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 } },
        };
    }

    private static AttributeProto Number(string name, float value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Float, F = value };

    private static ValueInfoProto Vector(string name, ElementType type)
    {
        var shape = new TensorShapeProto { Dim = { new TensorShapeProto.Types.Dimension { DimValue = 1 } } };
        return new ValueInfoProto { Name = name, Type = new() { TensorType = new() { ElemType = (int)type, Shape = shape } } };
    }
}
