using Google.Protobuf;
using Lift.Ort.Artifacts;

namespace Lift.Ort.Tests.Artifacts;

/// <summary>Optimizer models as onnxruntime.training.onnxblock.optim writes them.</summary>
internal static class ForeignOptimizers
{
    /// <summary>AdamW in Hugging Face's form, ε 1e-6, as generate_artifacts writes it.</summary>
    /// <param name="rate">A learning rate that is built in.</param>
    public static ModelProto AdamW(float weightDecay = 0, float? rate = null)
    {
        ModelProto model = OptimizerModel.Make(new(Epsilon: 1e-6f, WeightDecay: weightDecay, LearningRate: rate));
        model.Graph.Node.Single().Attribute.Single(a => a.Name == "adam_mode").I = 1;
        return model;
    }

    public static ModelProto Sgd()
    {
        ModelProto model = OptimizerModel.Make(new());
        NodeProto node = model.Graph.Node.Single();
        node.OpType = "SGDOptimizerV2";
        node.Attribute.Clear();
        node.Input.Clear();
        node.Input.AddRange(["learning_rate", "params", "gradients"]);
        model.Graph.Input.Remove(model.Graph.Input.Single(i => i.Name == "second_order_moments"));
        return model;
    }

    /// <summary>Puts an InplaceClipGradNorm before the optimizer.</summary>
    public static void Clip(ModelProto model, float maxNorm)
    {
        NodeProto optimizer = model.Graph.Node.Single();
        for (int i = 0; i < optimizer.Input.Count; i++) if (optimizer.Input[i] == "gradients") optimizer.Input[i] = "clipped";
        model.Graph.Node.Insert(0, new NodeProto
        {
            OpType = "InplaceClipGradNorm",
            Domain = "com.microsoft",
            Input = { "gradients" },
            Output = { "clipped" },
            Attribute = { new AttributeProto { Name = "max_norm", Type = AttributeProto.Types.AttributeType.Float, F = maxNorm } },
        });
    }
}
