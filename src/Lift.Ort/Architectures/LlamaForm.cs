namespace Lift.Ort.Architectures;

/// <summary>The vocabulary in which a decoder is written; its logits are the same in each.</summary>
public enum LlamaForm
{
    /// <summary>Standard operators of opset 17, no cache.</summary>
    Standard,

    /// <summary>As ONNX Runtime's GenAI model builder writes it: GroupQueryAttention, SkipSimplifiedLayerNormalization, a cache.</summary>
    GenAI,

    /// <summary>Attention, RotaryEmbedding and RMSNormalization of opset 23, no cache.</summary>
    Opset23,
}
