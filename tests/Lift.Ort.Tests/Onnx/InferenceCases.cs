using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Onnx;

/// <summary>One use of an operator: its inputs and attributes. Without <see cref="Expected"/> ONNX Runtime says what the outputs are.</summary>
internal sealed record InferenceCase(string Operator, CaseInput?[] Inputs, Action<Node>? Attributes = null, int Outputs = 1, string[]? Expected = null, int Opset = 21);

/// <summary>An input: a value of the graph, or a constant when <see cref="Values"/> is given.</summary>
internal sealed record CaseInput(ElementType Type, long[] Dims, double[]? Values = null);

/// <summary>At least one case for each operator that has an inference rule.</summary>
internal static class InferenceCases
{
    private static CaseInput F(params long[] dims) => new(ElementType.Float, dims);

    private static CaseInput I(params long[] dims) => new(ElementType.Int64, dims);

    private static CaseInput B(params long[] dims) => new(ElementType.Bool, dims);

    private static CaseInput U8(params long[] dims) => new(ElementType.UInt8, dims);

    private static CaseInput L(params double[] values) => new(ElementType.Int64, [values.Length], values);

    private static CaseInput S(double value, ElementType type = ElementType.Int64) => new(type, [], [value]);

    private static CaseInput Const(ElementType type, params double[] values) => new(type, [values.Length], values);

    public static IEnumerable<InferenceCase> All => [.. Elementwise, .. Shaping, .. Indexing, .. Reducing, .. Networks, .. OfOnnxRuntime, .. OfTraining, .. OfMachineLearning];

    /// <summary>A branch that puts out a [2, 3] of ones and declares it.</summary>
    private static AttributeProto Branch(string name)
    {
        var model = new SampleModel();
        model.Float("ones", [2, 3], _ => 1);
        model.Node("Identity", ["ones"], ["o"]).Graph.Output.Add(SampleModel.Value("o", 1, [2, 3]));
        return new AttributeProto { Name = name, Type = AttributeProto.Types.AttributeType.Graph, G = model.Graph };
    }

    private static IEnumerable<InferenceCase> Elementwise =>
    [
        .. "Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish Hardmax LeakyRelu Log LogSoftmax LpNormalization Mish Neg Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Tan Tanh ThresholdedRelu Identity IsNaN IsInf Bernoulli RandomNormalLike RandomUniformLike"
            .Split(' ').Select(op => new InferenceCase(op, [F(2, 3, 4)])),
        .. "Add Sub Mul Div Pow Min Max Sum Mean Less Greater LessOrEqual GreaterOrEqual Equal".Split(' ').Select(op => new InferenceCase(op, [F(2, 1, 4), F(3, 1)])),
        .. "And Or Xor".Split(' ').Select(op => new InferenceCase(op, [B(2, 3), B(3)])),
        .. "BitwiseAnd BitwiseOr BitwiseXor".Split(' ').Select(op => new InferenceCase(op, [I(2, 3), I(3)])),
        new("BitwiseNot", [I(2, 3)]),
        new("BitShift", [U8(2, 3), U8(3)], n => n.With("direction", "LEFT")),
        new("Mod", [I(2, 3), S(4)]),
        new("Not", [B(2, 3)]),
        new("Where", [B(2, 1), F(3), F(2, 3)]),
        new("Cast", [F(2, 3)], n => n.With("to", 7L)),
        new("CastLike", [F(2, 3), I(1)]),
        new("Clip", [F(2, 3), S(0, ElementType.Float), S(1, ElementType.Float)]),
        new("PRelu", [F(2, 3, 4), F(3, 1)]),
        new("Dropout", [F(2, 3)], null, 2),
        new("CumSum", [F(2, 3), S(1)]),
        new("Trilu", [F(2, 3, 4)]),
        new("EyeLike", [F(2, 3)], n => n.With("dtype", 7L)),
        new("RandomNormal", [], n => n.With("shape", [2L, 3])),
        new("RandomUniform", [], n => n.With("shape", [2L, 3]).With("dtype", 11L)),
        new("If", [B()], n => n.Set(Branch("then_branch")).Set(Branch("else_branch"))),
        new("Swish", [F(2, 3)], null, 1, ["float[2, 3]"], 24),
    ];

    private static IEnumerable<InferenceCase> Shaping =>
    [
        new("Shape", [F(2, 3, 4)], n => n.With("start", 1L)),
        new("Shape", [F(2, 3, 4)], n => n.With("start", -2L).With("end", -1L)),
        new("Size", [F(2, 3, 4)]),
        new("Reshape", [F(2, 3, 4), L(0, -1)]),
        new("Reshape", [F(2, 3, 4), L(-1, 0, 2, 2)]),
        new("Reshape", [F(2, 3, 4), I(1)], null, 1, ["float[dim(y0,0)]"]),
        new("Flatten", [F(2, 3, 4)], n => n.With("axis", 2L)),
        new("Flatten", [F(2, 3, 4)], n => n.With("axis", 0L)),
        new("Flatten", [F(2, 3, 4)], n => n.With("axis", -1L)),
        new("Transpose", [F(2, 3, 4)]),
        new("Transpose", [F(2, 3, 4)], n => n.With("perm", [1L, 2, 0])),
        new("Squeeze", [F(2, 1, 4, 1), L(-1)]),
        new("Unsqueeze", [F(2, 3), L(0, -1)]),
        new("Unsqueeze", [F(2, 3), L(1, 3)]),
        new("Concat", [F(2, 3), F(2, 4), F(2, 1)], n => n.With("axis", -1L)),
        new("Split", [F(2, 7)], n => n.With("axis", 1L).With("num_outputs", 3L), 3),
        new("Split", [F(2, 7), L(2, 5)], n => n.With("axis", -1L), 2),
        new("Expand", [F(3, 1), L(2, 1, 4)]),
        new("Tile", [F(2, 3), L(2, 3)]),
        new("ConstantOfShape", [L(2, 3)]),
        new("Range", [S(2), S(11), S(4)]),
        new("Range", [S(9), S(1), S(-3)]),
        new("Slice", [F(6, 7), L(1), L(-1), L(1)]),
        new("Slice", [F(6, 7), L(-1, 0), L(-100, 100), L(0, 1), L(-2, 3)]),
        new("Slice", [F(6, 7), L(2), L(4)]),
        new("Slice", [F(6, 7), L(-3), L(double.MaxValue), L(0)]),
        new("Slice", [F(6, 7), L(-512), L(double.MaxValue), L(0)]),
        new("Slice", [F(6, 7), L(0), L(512), L(1)]),
        new("Slice", [F(6, 7), L(1), L(double.MaxValue), L(1)]),
        new("Slice", [F(6, 7), L(0), L(-1), L(1), L(2)]),
        new("Slice", [F(6, 7), L(-1), L(double.MaxValue), L(1)]),
        new("Pad", [F(2, 3), L(0, 1, 2, 3)]),
        new("Pad", [F(2, 3), L(1, 2), S(0, ElementType.Float), L(-1)]),
        new("DepthToSpace", [F(2, 8, 3, 3)], n => n.With("blocksize", 2L)),
        new("SpaceToDepth", [F(2, 2, 4, 6)], n => n.With("blocksize", 2L)),
        new("ReverseSequence", [F(3, 2), Const(ElementType.Int64, 1, 3)], n => n.With("batch_axis", 1L).With("time_axis", 0L)),
    ];

    private static IEnumerable<InferenceCase> Indexing =>
    [
        new("Gather", [F(2, 3, 4), I(5, 6)], n => n.With("axis", 1L)),
        new("Gather", [F(2, 3, 4), S(-1)], n => n.With("axis", -1L)),
        new("GatherElements", [F(3, 4), I(2, 4)]),
        new("com.microsoft.GatherND", [F(2, 3, 4), L(1, 2)]),
        new("GatherND", [F(2, 3, 4), I(5, 2)]),
        new("GatherND", [F(2, 3, 4), I(2, 5, 1)], n => n.With("batch_dims", 1L)),
        new("ScatterElements", [F(3, 4), Const(ElementType.Int64, 0, 1) with { Dims = [1, 2] }, F(1, 2)]),
        new("ScatterND", [F(3, 4), Const(ElementType.Int64, 0, 1) with { Dims = [2, 1] }, F(2, 4)]),
        new("Scatter", [F(3, 4), I(1, 2), F(1, 2)], null, 1, ["float[3, 4]"], 10),
        new("TopK", [F(2, 5), L(3)], null, 2),
        new("OneHot", [I(2, 3), S(5), Const(ElementType.Float, 0, 1)], n => n.With("axis", 1L)),
        new("NonZero", [F(2, 3)]),
        new("Compress", [F(2, 3), B(2)], n => n.With("axis", 0L)),
        new("Compress", [F(2, 3), B(6)]),
    ];

    private static IEnumerable<InferenceCase> Reducing =>
    [
        .. "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare".Split(' ').SelectMany(op => new InferenceCase[]
        {
            new(op, [F(2, 3, 4), L(-1, 0)]),
            new(op, [F(2, 3, 4), L(1)], n => n.With("keepdims", 0L)),
            new(op, [F(2, 3, 4)], n => n.With("keepdims", 0L)),
            new(op, [F(2, 3, 4)], n => n.With("noop_with_empty_axes", 1L)),
        }),
        new("ReduceMean", [F(2, 3, 4)], n => n.With("axes", [-1L]), 1, null, 17),
        new("ArgMax", [F(2, 3, 4)], n => n.With("axis", 1L)),
        new("ArgMin", [F(2, 3, 4)], n => n.With("axis", -1L).With("keepdims", 0L)),
    ];

    private static IEnumerable<InferenceCase> Networks =>
    [
        new("MatMul", [F(2, 1, 3, 4), F(5, 4, 6)]),
        new("MatMul", [F(4), F(2, 4, 3)]),
        new("MatMul", [F(2, 3, 4), F(4)]),
        new("MatMul", [F(4), F(4)]),
        new("MatMulInteger", [U8(2, 3), U8(3, 4)]),
        new("Gemm", [F(3, 2), F(4, 3), F(4)], n => n.With("transA", 1L).With("transB", 1L)),
        new("Det", [F(2, 3, 3)]),
        new("com.microsoft.Inverse", [F(2, 3, 3)]),
        new("Einsum", [F(2, 3, 4), F(2, 4, 5)], n => n.With("equation", "...ij,...jk->...ki")),
        new("Einsum", [F(2, 3, 3)], n => n.With("equation", "bii->bi")),
        new("Einsum", [F(2, 3, 4), F(2, 4, 5)], n => n.With("equation", "bij, bjk -> bik")),
        new("Einsum", [F(2, 3), F(3, 4)], n => n.With("equation", "ij,jk")),
        new("Conv", [F(2, 4, 9, 8), F(6, 2, 3, 2)], n => n.With("group", 2L).With("strides", [2L, 3]).With("pads", [1L, 0, 1, 2]).With("dilations", [2L, 1])),
        new("Conv", [F(2, 4, 9, 8), F(6, 4, 3, 3)], n => n.With("auto_pad", "SAME_UPPER").With("strides", [2L, 2])),
        new("ConvTranspose", [F(2, 4, 5, 5), F(4, 3, 3, 2)], n => n.With("strides", [2L, 3]).With("pads", [1L, 0, 1, 0]).With("output_padding", [1L, 0])),
        new("MaxPool", [F(2, 4, 9, 8)], n => n.With("kernel_shape", [3L, 2]).With("strides", [2L, 2]).With("ceil_mode", 1L).With("pads", [1L, 0, 1, 0]), 2),
        new("AveragePool", [F(2, 4, 9, 8)], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 3])),
        new("LpPool", [F(2, 4, 9, 8)], n => n.With("kernel_shape", [2L, 2])),
        new("GlobalAveragePool", [F(2, 4, 9, 8)]),
        new("GlobalMaxPool", [F(2, 4, 9, 8)]),
        new("GlobalLpPool", [F(2, 4, 9, 8)]),
        new("Resize", [F(1, 2, 3, 4), null, Const(ElementType.Float, 1, 1, 2, 2.5)]),
        new("Resize", [F(1, 2, 3, 4), null, null, L(1, 2, 5, 7)]),
        new("Upsample", [F(1, 2, 3, 4), Const(ElementType.Float, 1, 1, 2, 2)], null, 1, ["float[1, 2, 6, 8]"], 9),
        new("GridSample", [F(1, 2, 3, 4), F(1, 5, 6, 2)]),
        new("AffineGrid", [F(2, 2, 3), L(2, 3, 4, 5)]),
        new("DFT", [F(2, 6, 1)]),
        new("DFT", [F(2, 6, 5, 2), S(8), S(1)]),
        new("DFT", [F(2, 7, 1)], n => n.With("onesided", 1L).With("axis", 1L), 1, null, 17),
        new("STFT", [F(2, 16, 1), S(4), F(8)], null, 1, null, 17),
        new("STFT", [F(1, 17, 1), S(3), null, S(6)], n => n.With("onesided", 0L), 1, null, 17),
        .. "HannWindow HammingWindow BlackmanWindow".Split(' ').Select(op => new InferenceCase(op, [S(7)])),
        new("MelWeightMatrix", [S(4), S(16), S(8000), S(0, ElementType.Float), S(4000, ElementType.Float)]),
        new("AffineGrid", [F(2, 3, 4), L(2, 1, 2, 3, 4)]),
        new("RoiAlign", [F(1, 2, 5, 6), F(3, 4), Const(ElementType.Int64, 0, 0, 0)], n => n.With("output_height", 2L).With("output_width", 3L)),
        new("Col2Im", [F(1, 8, 4), L(3, 3), L(2, 2)]),
        new("CenterCropPad", [F(2, 3, 7), L(5, 4)], n => n.With("axes", [0L, -1])),
        new("CenterCropPad", [F(2, 3), L(5, 1)]),
        new("MaxUnpool", [F(1, 1, 2, 2), Const(ElementType.Int64, 1, 2, 8, 15) with { Dims = [1, 1, 2, 2] }], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2])),
        new("MaxUnpool", [F(1, 1, 2, 2), Const(ElementType.Int64, 1, 3, 10, 12) with { Dims = [1, 1, 2, 2] }, L(1, 1, 5, 5)], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2])),
        new("BatchNormalization", [F(2, 3, 4), F(3), F(3), F(3), F(3)]),
        new("InstanceNormalization", [F(2, 3, 4), F(3), F(3)]),
        new("GroupNormalization", [F(2, 4, 3), F(4), F(4)], n => n.With("num_groups", 2L)),
        new("MeanVarianceNormalization", [F(2, 3, 4, 5)]),
        new("LRN", [F(2, 3, 4, 5)], n => n.With("size", 3L)),
        new("LayerNormalization", [F(2, 3, 4), F(4), F(4)], n => n.With("axis", -1L), 3),
        new("SimplifiedLayerNormalization", [F(2, 3, 4), F(4)], n => n.With("axis", -1L), 2),
        new("RMSNormalization", [F(2, 3, 4), F(4)], null, 1, ["float[2, 3, 4]"], 23),
        new("LSTM", [F(5, 2, 3), F(1, 16, 3), F(1, 16, 4)], n => n.With("hidden_size", 4L), 3),
        new("GRU", [F(5, 2, 3), F(2, 12, 3), F(2, 12, 4)], n => n.With("hidden_size", 4L).With("direction", "bidirectional"), 2),
        new("RNN", [F(5, 2, 3), F(1, 4, 3), F(1, 4, 4)], n => n.With("hidden_size", 4L), 2),
        new("QuantizeLinear", [F(2, 3), S(0.1, ElementType.Float), S(1, ElementType.UInt8)]),
        new("DequantizeLinear", [U8(2, 3), S(0.1, ElementType.Float), S(1, ElementType.UInt8)]),
        new("DynamicQuantizeLinear", [F(2, 3)], null, 3),
        new("SoftmaxCrossEntropyLoss", [F(2, 3), Const(ElementType.Int64, 0, 2)], null, 2),
        new("NegativeLogLikelihoodLoss", [F(2, 3), Const(ElementType.Int64, 0, 2)], n => n.With("reduction", "none")),
    ];

    private static AttributeProto Floats(string name, params float[] values)
    {
        var attribute = new AttributeProto { Name = name, Type = AttributeProto.Types.AttributeType.Floats };
        attribute.Floats.AddRange(values);
        return attribute;
    }

    private static IEnumerable<InferenceCase> OfMachineLearning =>
    [
        new("ai.onnx.ml.Scaler", [I(2, 3)], n => n.Set(Floats("offset", 0.5f)).Set(Floats("scale", 2))),
        new("ai.onnx.ml.Normalizer", [F(2, 3)], n => n.With("norm", "L2")),
        new("ai.onnx.ml.Imputer", [F(2, 3)], n => n.Set(Floats("imputed_value_floats", 0.5f)).With("replaced_value_float", 0f)),
        new("ai.onnx.ml.Binarizer", [F(2, 3)], n => n.With("threshold", 0.5f)),
        new("ai.onnx.ml.LabelEncoder", [I(2, 3)], n => n.With("keys_int64s", [1L, 2]).Set(Floats("values_floats", 0.5f, 2)), 1, ["float[2, 3]"]),
        new("ai.onnx.ml.ArrayFeatureExtractor", [F(2, 3), L(0, 2)]),
        new("ai.onnx.ml.ArrayFeatureExtractor", [L(7, 8, 9), L(0, 2)]),
        new("ai.onnx.ml.OneHotEncoder", [I(2, 3)], n => n.With("cats_int64s", [0L, 1, 2]).With("zeros", 1L)),
        new("ai.onnx.ml.FeatureVectorizer", [F(2, 3), F(2, 1)], n => n.With("inputdimensions", [3L, 1])),
    ];

    private static IEnumerable<InferenceCase> OfOnnxRuntime =>
    [
        .. "Gelu FastGelu QuickGelu".Split(' ').Select(op => new InferenceCase($"com.microsoft.{op}", [F(2, 3, 4)])),
        new("com.microsoft.BiasGelu", [F(2, 3, 4), F(4)]),
        new("com.microsoft.BiasSoftmax", [F(2, 3, 4), F(2, 3, 4)], n => n.With("axis", 2L).With("is_inner_broadcast", 0L), 1, ["float[2, 3, 4]"]),
        new("com.microsoft.Trilu", [F(2, 3, 4)]),
        new("com.microsoft.FusedMatMul", [F(2, 4, 3), F(5, 4)], n => n.With("transA", 1L).With("transB", 1L)),
        new("com.microsoft.TransposeMatMul", [F(2, 4, 3), F(5, 4)], n => n.With("transA", 1L).With("transB", 1L)),
        new("com.microsoft.FusedGemm", [F(2, 3), F(3, 4)], n => n.With("activation", "Relu")),
        new("com.microsoft.FusedConv", [F(2, 4, 9, 8), F(6, 4, 3, 3)], n => n.With("activation", "Relu")),
        new("com.microsoft.QuantizeLinear", [F(2, 3), S(0.1, ElementType.Float), S(1, ElementType.UInt8)]),
        new("com.microsoft.DequantizeLinear", [U8(2, 3), S(0.1, ElementType.Float), S(1, ElementType.UInt8)]),
        new("com.microsoft.MatMulNBits", [F(2, 3, 32), new(ElementType.UInt8, [8, 1, 16]), F(8)], n => n.With("K", 32L).With("N", 8L).With("bits", 4L).With("block_size", 32L)),
        new("com.microsoft.SkipLayerNormalization", [F(2, 3, 4), F(2, 3, 4), F(4), F(4)], null, 4, ["float[2, 3, 4]", "float[2, 3, 1]", "float[2, 3, 1]", "float[2, 3, 4]"]),
        new("com.microsoft.SkipSimplifiedLayerNormalization", [F(2, 3, 4), F(2, 3, 4), F(4)]),
        new("com.microsoft.MultiHeadAttention", [F(2, 3, 8), F(2, 5, 8), F(2, 5, 8)], n => n.With("num_heads", 2L)),
        new("com.microsoft.GroupQueryAttention", [F(2, 3, 32), F(2, 3, 16), F(2, 3, 16)], n => n.With("num_heads", 4L).With("kv_num_heads", 2L), 3,
            ["float[2, 3, 32]", "float[2, 2, dim(y1,2), 8]", "float[2, 2, dim(y2,2), 8]"]),
        new("com.microsoft.Attention", [F(2, 3, 8), F(8, 24), F(24)], n => n.With("num_heads", 2L)),
        new("com.microsoft.RotaryEmbedding", [F(1, 2, 3, 8), Const(ElementType.Int64, 0), F(3, 4), F(3, 4)]),
        new("com.microsoft.GemmaRotaryEmbedding", [F(1, 3, 8), F(1, 2, 3, 8), F(1, 2, 3, 8), F(1, 1, 3, 8), F(1, 1, 3, 8)], null, 2, ["float[1, 2, 3, 8]", "float[1, 1, 3, 8]"]),
        new("Attention", [F(2, 4, 3, 8), F(2, 2, 5, 8), F(2, 2, 5, 6)], null, 1, null, 23),
        new("Attention", [F(2, 3, 32), F(2, 5, 16), F(2, 5, 12)], n => n.With("q_num_heads", 4L).With("kv_num_heads", 2L), 1, null, 23),
        new("RotaryEmbedding", [F(2, 4, 3, 8), F(2, 3, 4), F(2, 3, 4)], null, 1, null, 23),
        new("com.microsoft.BiasAdd", [F(2, 3, 8), F(8), F(2, 3, 8)], null, 1, ["float[2, 3, 8]"]),
        new("com.microsoft.MoE", [F(6, 8), F(6, 4), F(4, 8, 16), null, F(4, 16, 8)], n => n.With("k", 2L), 1, ["float[6, 8]"]),
        new("com.microsoft.FusedMatMulActivation", [F(2, 4, 3), F(5, 4)], n => n.With("transA", 1L).With("transB", 1L).With("activation", "Relu"), 1, ["float[2, 3, 5]"]),
        new("com.microsoft.EmbedLayerNormalization", [new(ElementType.Int32, [2, 3]), null, F(9, 8), F(5, 8), null, F(8), F(8)], null, 3, ["float[2, 3, 8]", "int32[2]", "float[2, 3, 8]"]),
        new("com.microsoft.DynamicQuantizeLSTM", [F(3, 2, 5), U8(1, 5, 16), U8(1, 4, 16), null, null, null, null, null, F(1), U8(1), F(1), U8(1)], n => n.With("hidden_size", 4L), 3, ["float[3, 1, 2, 4]", "float[1, 2, 4]", "float[1, 2, 4]"]),
        new("com.microsoft.QMoE", [F(6, 8), F(6, 4), U8(4, 16, 4), F(4, 16), null, U8(4, 8, 8), F(4, 8)], n => n.With("k", 2L), 1, ["float[6, 8]"]),
        new("TensorScatter", [F(2, 3, 8, 4), F(2, 3, 2, 4), I(2)], null, 1, ["float[2, 3, 8, 4]"], 24),
        new("QLinearMatMul", [U8(2, 3, 4), F(), U8(), U8(4, 5), F(), U8(), F(), U8()], null, 1, ["uint8[2, 3, 5]"]),
        new("com.microsoft.QGemm", [U8(3, 4), F(), U8(), U8(5, 4), F(), U8(), null, F(), U8()], n => n.With("transB", 1L), 1, ["uint8[3, 5]"]),
        new("com.microsoft.QGemm", [U8(3, 4), F(), U8(), U8(4, 5), F(), U8()], null, 1, ["float[3, 5]"]),
        new("QLinearConv", [U8(2, 3, 7, 8), F(), U8(), U8(4, 3, 3, 3), F(), U8(), F(), U8()], n => n.With("strides", [2L, 1]), 1, ["uint8[2, 4, 3, 6]"]),
        new("com.microsoft.QLinearConv", [U8(2, 7, 8, 3), F(), U8(), U8(4, 3, 3, 3), F(), U8(), F(), U8()], n => n.With("channels_last", 1L), 1, ["uint8[2, 5, 6, 4]"]),
        new("ConvInteger", [U8(2, 3, 7, 8), U8(4, 3, 3, 3)], null, 1, ["int32[2, 4, 5, 6]"]),
        new("com.microsoft.MatMulIntegerToFloat", [U8(2, 3), U8(3, 4), F(), F()]),
        new("com.microsoft.DynamicQuantizeMatMul", [F(2, 3), U8(3, 4), F()]),
        new("com.microsoft.MatMulBnb4", [F(2, 3, 16), U8(32), F(4)], n => n.With("K", 16L).With("N", 4L).With("block_size", 16L).With("quant_type", 1L)),
        .. new[] { "Sigmoid", "LeakyRelu" }.Select(o => new InferenceCase($"com.microsoft.QLinear{o}", [U8(2, 3), F(), U8(), F(), U8()])),
        new("com.microsoft.QLinearSoftmax", [U8(2, 3), F(), U8(), F(), U8()], n => n.With("opset", 13L), 1, ["uint8[2, 3]"]),
        .. new[] { "Add", "Mul" }.Select(o => new InferenceCase($"com.microsoft.QLinear{o}", [U8(2, 1, 3), F(), U8(), U8(4, 1), F(), U8(), F(), U8()])),
        new("com.microsoft.QLinearWhere", [B(4, 1), U8(2, 1, 3), F(), U8(), U8(1, 3), F(), U8(), F(), U8()]),
        new("com.microsoft.QLinearAveragePool", [U8(2, 3, 7, 8), F(), U8(), F(), U8()], n => n.With("kernel_shape", [3L, 2]), 1, ["uint8[2, 3, 5, 7]"]),
        new("com.microsoft.QLinearGlobalAveragePool", [U8(2, 7, 8, 3), F(), U8(), F(), U8()], n => n.With("channels_last", 1L), 1, ["uint8[2, 1, 1, 3]"]),
        new("com.microsoft.QLinearConcat", [F(), U8(), U8(2, 3), F(), U8(), U8(2, 4), F(), U8()], n => n.With("axis", -1L), 1, ["uint8[2, 7]"]),
        new("com.microsoft.QAttention", [U8(2, 3, 8), U8(8, 24), F(24), F(), F()], n => n.With("num_heads", 2L), 1, ["float[2, 3, 8]"]),
        new("com.microsoft.QEmbedLayerNormalization", [I(2, 3), null, U8(5, 8)], null, 2, ["float[2, 3, 8]", "int32[2]"]),
        new("com.microsoft.GatherBlockQuantized", [U8(9, 16), I(2, 3), F(9, 2)], n => n.With("bits", 4L).With("block_size", 16L), 1, ["float[2, 3, 32]"]),
        new("com.microsoft.DequantizeNBits", [U8(8, 2, 8), F(8, 2)], n => n.With("bits", 4L), 1, ["float[8, 32]"]),
    ];

    /// <summary>A stock ONNX Runtime has no kernels for these: what they put out is written down here.</summary>
    private static IEnumerable<InferenceCase> OfTraining =>
    [
        .. "SoftmaxGrad SoftmaxGrad_13 LogSoftmaxGrad LogSoftmaxGrad_13 SigmoidGrad TanhGrad ReluGrad QuickGeluGrad GeluGrad FastGeluGrad BiasGeluGrad_dX BiasFastGeluGrad_dX LeakyReluGrad EluGrad HardSigmoidGrad DropoutGrad Scale ScaledSum FakeQuantGrad"
            .Split(' ').Select(op => new InferenceCase($"com.microsoft.{op}", [F(2, 3), F(2, 3)], null, 1, ["float[2, 3]"])),
        .. "SoftmaxCrossEntropyLossInternalGrad SoftmaxCrossEntropyLossGrad NegativeLogLikelihoodLossInternalGrad"
            .Split(' ').Select(op => new InferenceCase($"com.microsoft.{op}", [F(), F(2, 3), I(2)], null, 1, ["float[2, 3]"])),
        .. "com.microsoft.SoftmaxCrossEntropyGrad SparseSoftmaxCrossEntropyGrad".Split(' ').Select(op => new InferenceCase(op, [F(), F(2, 3), F(2, 3)], null, 1, ["float[2, 3]"])),
        .. "com.microsoft.SoftmaxCrossEntropy SparseSoftmaxCrossEntropy".Split(' ').Select(op => new InferenceCase(op, [F(2, 3), F(2, 3)], null, 2, ["float[]", "float[2, 3]"])),
        .. "SoftmaxCrossEntropyLossInternal NegativeLogLikelihoodLossInternal NegativeLogLikelihoodLossInternal2".Split(' ').Select(op => new InferenceCase($"com.microsoft.{op}", [F(2, 3), I(2)], null, 1, ["float[]"])),
        .. "LayerNormalizationGrad SimplifiedLayerNormalizationGrad InvertibleLayerNormalizationGrad BatchNormalizationGrad"
            .Split(' ').Select(op => new InferenceCase($"com.microsoft.{op}", [F(2, 3), F(2, 3), F(3), F(2, 1)], null, 3, ["float[2, 3]", "float[3]", "float[3]"])),
        .. "GatherGrad GatherNDGrad".Split(' ').Select(op => new InferenceCase($"com.microsoft.{op}", [L(7, 4), I(2), F(2, 4)], null, 1, ["float[7, 4]"])),
        .. "GatherElementsGrad SliceGrad".Split(' ').Select(op => new InferenceCase($"com.microsoft.{op}", [F(2, 4), L(7, 4), I(2)], null, 1, ["float[7, 4]"])),
        new("com.microsoft.ConvGrad", [F(2, 6, 7, 6), F(2, 4, 9, 8), F(6, 4, 3, 3)], null, 3, ["float[2, 4, 9, 8]", "float[6, 4, 3, 3]", "float[6]"]),
        new("com.microsoft.LSTMTraining", [F(5, 2, 3), F(1, 16, 3), F(1, 16, 4)], n => n.With("hidden_size", 4L), 5, ["float[5, 1, 2, 4]", "float[1, 2, 4]", "float[1, 2, 4]", "float[5, 1, 2, 4]", "float[5, 1, 2, 16]"]),
        new("com.microsoft.GRUTraining", [F(5, 2, 3), F(1, 12, 3), F(1, 12, 4)], n => n.With("hidden_size", 4L), 3, ["float[5, 1, 2, 4]", "float[1, 2, 4]", "float[5, 1, 2, 12]"]),
        new("com.microsoft.LSTMGrad", [F(5, 2, 3), F(1, 16, 3), F(1, 16, 4)], null, 7, ["float[5, 2, 3]", "float[1, 16, 3]", "float[1, 16, 4]", "float[1, 32]", "float[1, 2, 4]", "float[1, 2, 4]", "float[1, 12]"]),
        new("com.microsoft.GRUGrad", [F(5, 2, 3), F(1, 12, 3), F(1, 12, 4)], null, 5, ["float[5, 2, 3]", "float[1, 12, 3]", "float[1, 12, 4]", "float[1, 24]", "float[1, 2, 4]"]),
        new("com.microsoft.InPlaceAccumulatorV2", [F(2, 3), F(2, 3), B(1)], null, 2, ["bool[1]", "float[2, 3]"]),
        new("com.microsoft.BatchNormInternal", [F(2, 3, 4), F(3), F(3), F(3), F(3)], null, 5, ["float[2, 3, 4]", "float[3]", "float[3]", "float[3]", "float[3]"]),
        new("SinGrad", [F(2, 3), F(2, 3)], null, 1, ["float[2, 3]"]),
        new("com.microsoft.BatchScale", [F(2, 3)], null, 2, ["float[2, 3]", "float[2, 3]"]),
        new("com.microsoft.ShrunkenGather", [F(5, 3), I(2)], n => n.With("axis", 1L), 1, ["float[5, 2]"]),
        new("com.microsoft.PadAndUnflatten", [F(3, 4), I(3), L(2, 5)], null, 1, ["float[2, 5, 4]"]),
        new("com.microsoft.FlattenAndUnpad", [F(2, 5, 4), I(3)], null, 2, ["float[3, 4]", "int64[2]"]),
        new("com.microsoft.ConcatTraining", [F(2, 3), F(2, 4)], n => n.With("axis", 1L), 2, ["float[2, 7]", "int64[2]"]),
    ];
}
