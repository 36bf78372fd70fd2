namespace Lift.Ort.Lowering;

/// <summary>Fused operators that are made for running a model alone, each with the reason and the way out.</summary>
internal static class Refusals
{
    private const string Packed = "it works on tokens packed without padding, which only a CUDA inference session does; take the model from before that optimization",
        Step = "it computes a single token of a text that goes on; take the decoder that GenAI or Optimum exported, before the conversion to a search graph",
        Ordered = "its tiles are laid out for a GPU's integer units, and only a CUDA inference session runs it; take the model from before its quantization, or one with MatMulNBits or DequantizeLinear weights",
        Bytes = "it computes with quantized numbers; take the model from before its quantization, or one with MatMulNBits or DequantizeLinear weights",
        Compiled = "it holds a part of the model that was compiled for one device; take the model from before that",
        Gone = "ONNX took it out before opset 11, or never made it more than an experiment; convert the model again, to opset 11 or later",
        Placed = "the file was saved after optimizations for a GPU; save it with the level 'extended' at most, or on a machine without one",
        Fourier = "it runs on CUDA only; export the model with DFT of opset 17 or later";

    private static readonly Dictionary<string, string> table = new()
    {
        ["com.microsoft.PackedAttention"] = Packed,
        ["com.microsoft.PackedMultiHeadAttention"] = Packed,
        ["com.microsoft.PagedAttention"] = Packed,
        ["com.microsoft.DecoderMaskedMultiHeadAttention"] = Step,
        ["com.microsoft.DecoderMaskedSelfAttention"] = Step,
        ["com.microsoft.DecoderAttention"] = Step,
        ["com.microsoft.BeamSearch"] = Step,
        ["com.microsoft.GreedySearch"] = Step,
        ["com.microsoft.Sampling"] = Step,
        ["com.microsoft.QOrderedAttention"] = Ordered,
        ["com.microsoft.QOrderedGelu"] = Ordered,
        ["com.microsoft.QOrderedLayerNormalization"] = Ordered,
        ["com.microsoft.QOrderedLongformerAttention"] = Ordered,
        ["com.microsoft.QOrderedMatMul"] = Ordered,
        ["com.microsoft.QuantizeWithOrder"] = Ordered,
        ["com.microsoft.DequantizeWithOrder"] = Ordered,
        ["com.microsoft.MatMulFpQ4"] = Bytes,
        ["com.microsoft.DequantizeBFP"] = Bytes,
        ["com.microsoft.QuantizeBFP"] = Bytes,
        ["com.microsoft.GemmFloat8"] = Bytes,
        ["com.microsoft.NhwcMaxPool"] = Bytes,
        ["com.microsoft.MatMulInteger16"] = Bytes,
        ["com.microsoft.MulInteger"] = Bytes,
        ["com.microsoft.ReduceSumInteger"] = Bytes,
        ["com.microsoft.QLinearReduceMean"] = Bytes,
        ["com.microsoft.WhisperBeamSearch"] = Step,
        ["com.microsoft.NGramRepeatBlock"] = Step,
        ["com.microsoft.RemovePadding"] = Packed,
        ["com.microsoft.RestorePadding"] = Packed,
        ["com.microsoft.EPContext"] = Compiled,
        ["com.microsoft.Snpe"] = Compiled,
        ["com.microsoft.Rfft"] = Fourier,
        ["com.microsoft.Irfft"] = Fourier,
        ["Upsample"] = Gone,
        ["Scatter"] = Gone,
        ["GivenTensorFill"] = Gone,
        ["GRUUnit"] = Gone,
        ["Affine"] = Gone,
        ["Crop"] = Gone,
        ["DynamicSlice"] = Gone,
        ["ImageScaler"] = Gone,
        ["ParametricSoftplus"] = Gone,
        ["Scale"] = Gone,
        ["ScaledTanh"] = Gone,
        ["MemcpyFromHost"] = Placed,
        ["MemcpyToHost"] = Placed,
        ["com.microsoft.AttnLSTM"] = "its attention lies within the LSTM; export the model with attention and LSTM as operators of their own",
        ["com.microsoft.MaxpoolWithMask"] = "its mask has no form in standard operators; export the model with MaxPool",
        ["com.microsoft.WordConvEmbedding"] = "it convolves over the letters of words, which has no gradient here; export the model with embedding and Conv as operators of their own",
        ["com.microsoft.SparseToDenseMatMul"] = "one of its operands is a sparse tensor; export the model with dense weights",
        ["com.microsoft.SparseAttention"] = "its sparse layout has no gradient here; export the model with dense attention",
        ["com.microsoft.LongformerAttention"] = "its sparse layout has no gradient here; export the model without ONNX Runtime's Longformer fusion",
        ["com.microsoft.nchwc.Conv"] = "the file was saved after optimizations for one processor's layout; save it with the level 'extended' at most",
    };

    public static IReadOnlyDictionary<string, string> Reasons => table;

    public static string? Of(string op) => table.GetValueOrDefault(op);
}
