using Google.Protobuf;
using Lift.Ort.Artifacts;
using Lift.Ort.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Artifacts;

/// <summary>A small model with its loss, as onnxruntime.training.artifacts.generate_artifacts sees it, and the folder that it makes of it.</summary>
internal sealed class ForeignModel
{
    private readonly List<Tensor> trainable = [], frozen = [];
    private int seed;

    /// <summary>Forward pass and loss; parameters are initializers still.</summary>
    public Graph Forward { get; } = new() { Opset = 17, IrVersion = 8, Domains = { ["com.microsoft"] = 1 } };

    /// <summary>Name of the loss.</summary>
    public string Loss { get; private set; } = "loss";

    public Dictionary<string, Tensor> Batch { get; } = [];

    public string[] Trainable => [.. trainable.Select(t => t.Name)];

    /// <summary>Linear layers (Gemm, transB), all element-wise activations that have a training operator, and a loss with class weights and an ignored label.</summary>
    public static ForeignModel Mlp()
    {
        var m = new ForeignModel();
        string h = m.Node("Gemm", [m.Input("x", F([6, 4])), m.Weight("fc1.weight", [5, 4]), m.Weight("fc1.bias", [5])], n => n.With("transB", 1L));
        h = m.Node("Relu", [h]);
        h = m.Linear(h, "fc2", 5, 5);
        h = m.Node("Sigmoid", [h]);
        h = m.Linear(h, "fc3", 5, 5);
        h = m.Node("Tanh", [h]);
        h = m.Linear(h, "fc4", 5, 5);
        h = m.Node("LeakyRelu", [h], n => n.With("alpha", 0.2f));
        string wide = m.Nodes("ConcatTraining", "com.microsoft", [h, m.Linear(h, "side", 5, 3)], 2, n => n.With("axis", 1L))[0];
        string cut = m.Node("Slice", [wide, m.Longs(1), m.Longs(7), m.Longs(1)]);
        string out0 = m.Linear(cut, "head", 6, 3);
        return m.CrossEntropy(out0, L(0, 2, 1, -100, 2, 0), Tensor.From<float>("class_weights", [1, 0.5f, 2], 3));
    }

    /// <summary>Two linear layers with one of the losses of onnxruntime.training.onnxblock on top, node by node as its blocks write them; reductions keep their dimensions there, so that the loss is [1, 1].</summary>
    /// <param name="loss">MSELoss, L1Loss, BCEWithLogitsLoss, CrossEntropyLoss, or a user's own: the sum of two.</param>
    public static ForeignModel WithLoss(string loss)
    {
        var m = new ForeignModel();
        bool classes = loss == "CrossEntropyLoss";
        string y = m.Linear(m.Node("Relu", [m.Linear(m.Input("x", F([6, 4])), "fc1", 4, 5)]), "fc2", 5, classes ? 3 : 2);
        if (classes)
        {
            m.Forward.Nodes.Add(new Node("SoftmaxCrossEntropyLoss", "", [y, m.Input("labels", L(0, 2, 1, 1, 2, 0))], ["onnx::loss::11", "onnx::log_prob::12"]).With("reduction", "mean"));
            return m.Finish(y, "onnx::loss::11", Shape.Scalar);
        }
        string target = m.Input("target", loss == "BCEWithLogitsLoss" ? Tensor.From<float>("t", [0, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0], 6, 2) : F([6, 2], seed: 9));
        string Mse() => m.Node("ReduceMean", [m.Node("Pow", [m.Node("Sub", [y, target]), m.Constant(Tensor.From("onnx::pow_exponent::3", [2f]))])]);
        string L1() => m.Node("ReduceMean", [m.Node("Abs", [m.Node("Sub", [y, target])])]);
        string result = loss switch
        {
            "MSELoss" => Mse(),
            "L1Loss" => L1(),
            "BCEWithLogitsLoss" => m.BinaryCrossEntropy(y, target),
            _ => m.Node("Add", [Mse(), m.Node("Mul", [L1(), m.Constant(Tensor.From("onnx::initializer::5", [0.5f]))])]),
        };
        return m.Finish(y, result, new Shape(1, 1));
    }

    private string BinaryCrossEntropy(string y, string target)
    {
        string share = Node("Sigmoid", [y]), one = Constant(Tensor.From("onnx::bceloss.sub_ones::1", [1f])), other = Constant(Tensor.From("onnx::bceloss.sub_ones::2", [1f]));
        string hit = Node("Mul", [Node("Log", [share]), target]);
        string miss = Node("Mul", [Node("Log", [Node("Sub", [one, share])]), Node("Sub", [other, target])]);
        return Node("ReduceMean", [Node("Neg", [Node("Add", [hit, miss])])]);
    }

    /// <summary>Convolutions, batch statistics, both kinds of pool, a global mean, and the squared error.</summary>
    /// <param name="rare">Uses operators too that ONNX Runtime has for GPUs only.</param>
    public static ForeignModel Cnn(bool rare)
    {
        var m = new ForeignModel();
        string h = m.Node("Conv", [m.Input("x", F([3, 2, 8, 8])), m.Weight("conv1.weight", [4, 2, 3, 3])], n => n.With("pads", [1L, 1, 1, 1]).With("kernel_shape", [3L, 3]));
        h = m.Nodes("BatchNormInternal", "com.microsoft", [h, m.Weight("bn.weight", [4], 0.5f, 1.5f), m.Weight("bn.bias", [4]), m.Frozen("bn.running_mean", [4]), m.Frozen("bn.running_var", [4], 0.5f, 1)], 5,
            n => n.With("epsilon", 1e-5f).With("momentum", 0.9f).With("training_mode", 1L))[0];
        h = m.Node("Relu", [h]);
        h = m.Nodes("MaxPool", "", [h], 2, n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2]))[0];
        h = m.Node("Conv", [h, m.Weight("conv2.weight", [4, 1, 3, 3]), m.Weight("conv2.bias", [4])], n => n.With("pads", [1L, 1, 1, 1]).With("group", 4L).With("kernel_shape", [3L, 3]));
        h = m.Node("AveragePool", [h], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2]));
        string pooled = m.Node("Flatten", [m.Node("GlobalAveragePool", [h])]), flat = m.Node("Flatten", [h]);
        string a = m.Linear(pooled, "a", 4, 2), b = m.Linear(flat, "b", 16, 2);
        string sum = rare ? m.Node("ScaledSum", [a, b], n => n.With("scale_0", 0.5f).With("scale_1", 2f), "com.microsoft") : m.Node("Add", [a, b]);
        return m.SquaredError(sum, F([3, 2]));
    }

    /// <summary>Embeddings, attention with a mask, layer normalisation, three GELUs, dropout that keeps everything, and the internal cross-entropy.</summary>
    /// <param name="rare">Scores the last token of each row only, which takes GatherND.</param>
    public static ForeignModel Transformer(bool rare)
    {
        var m = new ForeignModel();
        const long batch = 2, length = 3, width = 4, heads = 2, vocabulary = 7;
        string h = m.Node("Gather", [m.Weight("wte.weight", [vocabulary, width]), m.Input("input_ids", L([batch, length], 1, 4, 1, 6, 0, 2))]);
        h = m.Node("Add", [h, m.Weight("wpe", [length, width])]);
        string norm = m.Norm(h, "ln1", width);
        string Heads(string name, params long[] order) => m.Node("Transpose", [m.Node("Reshape", [m.Biased(norm, name, width, width), m.Longs(batch, length, heads, width / heads)])], n => n.With("perm", order));
        string scores = m.Node("Div", [m.Node("MatMul", [Heads("q", 0, 2, 1, 3), Heads("k", 0, 2, 3, 1)]), m.Constant(Tensor.Scalar("root", MathF.Sqrt(2)))]);
        scores = m.Node("Add", [scores, m.Constant(Tensor.From<float>("mask", [0, -1e4f, -1e4f, 0, 0, -1e4f, 0, 0, 0], 1, 1, 3, 3))]);
        string share = m.Node("Softmax", [scores], n => n.With("axis", -1L));
        share = m.Nodes("Dropout", "", [share, m.Constant(Tensor.From("ratio", [0f])), m.Constant(Tensor.From("training", [true]))], 2, n => n.With("seed", 1L))[0];
        string attended = m.Node("Reshape", [m.Node("Transpose", [m.Node("MatMul", [share, Heads("v", 0, 2, 1, 3)])], n => n.With("perm", [0L, 2, 1, 3])), m.Longs(batch, length, width)]);
        h = m.Node("Add", [h, m.Biased(attended, "o", width, width)]);
        string inner = m.Node("MatMul", [m.Norm(h, "ln2", width), m.Weight("up.weight", [width, 6])]);
        inner = m.Node("BiasGelu", [inner, m.Weight("up.bias", [6])], null, "com.microsoft");
        inner = m.Node("Mul", [m.Node("FastGelu", [inner], null, "com.microsoft"), m.Node("QuickGelu", [inner], n => n.With("alpha", 1.702f), "com.microsoft")]);
        h = m.Node("Add", [h, m.Biased(inner, "down", 6, width)]);
        string ends = m.Norm(h, "ln3", width);
        ends = rare ? m.Node("GatherND", [ends, m.Constant(Tensor.From<long>("last", [2, 1], 2, 1))], n => n.With("batch_dims", 1L)) : m.Node("Reshape", [ends, m.Longs(-1, width)]);
        return m.InternalCrossEntropy(m.Node("MatMul", [ends, m.Weight("head.weight", [width, vocabulary])]), rare ? L(3, 5) : L(3, 5, 0, 1, 6, 2));
    }

    /// <summary>Writes the folder: training, eval and optimizer model and checkpoint.</summary>
    /// <param name="optimizer">The optimizer model; default AdamW as generate_artifacts writes it.</param>
    /// <param name="accumulator">Operator that adds gradients to their buffers.</param>
    public void Write(string folder, ModelProto? optimizer = null, string accumulator = ArtifactNames.Accumulator, string prefix = "")
    {
        Directory.CreateDirectory(folder);
        Graph training = Parameters(Forward.Clone());
        ShapeInference.Infer(training);
        var gradients = new GradientBuilder(training).Build(Loss, Trainable);
        foreach (Tensor t in trainable)
        {
            training.Inputs.Add(new(ArtifactNames.Buffer(t.Name), t.TensorType));
            training.Nodes.Add(new Node(accumulator, "com.microsoft", [ArtifactNames.Buffer(t.Name), gradients[t.Name], ArtifactNames.ResetFlag], [ArtifactNames.Updated(t.Name)]));
            training.Outputs.Add(new(ArtifactNames.Updated(t.Name), accumulator == ArtifactNames.Accumulator ? new(ElementType.Bool, new Shape(1)) : t.TensorType));
        }
        training.Inputs.Add(new(ArtifactNames.ResetFlag, new(ElementType.Bool, new Shape(1))));
        string path = Path.Combine(folder, prefix + ArtifactNames.TrainingModel);
        OnnxFile.Write(training, path);
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
        foreach (string value in training.Nodes.SelectMany(n => n.Outputs).Where(o => training.TypeOf(o).Shape is { IsStatic: true } && training.Outputs.All(v => v.Name != o)))
            model.Graph.ValueInfo.Add(Declared(value, training.TypeOf(value)));
        File.WriteAllBytes(path, model.ToByteArray());
        OnnxFile.Write(Parameters(Forward.Clone()), Path.Combine(folder, prefix + ArtifactNames.EvalModel));
        File.WriteAllBytes(Path.Combine(folder, prefix + ArtifactNames.OptimizerModel), (optimizer ?? OptimizerModel.Make(new(Epsilon: 1e-6f))).ToByteArray());
        new CheckpointFile { Trainable = trainable, Frozen = frozen }.Write(Path.Combine(folder, prefix + ArtifactNames.Checkpoint));
    }

    private static ValueInfoProto Declared(string name, TensorType type)
    {
        var shape = new TensorShapeProto();
        foreach (Dim d in type.Shape!.Dims) shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = d.Value!.Value });
        return new() { Name = name, Type = new() { TensorType = new() { ElemType = (int)type.Element, Shape = shape } } };
    }

    private Graph Parameters(Graph graph)
    {
        foreach (Tensor t in trainable.Concat(frozen))
        {
            graph.Initializers.Remove(t.Name);
            graph.Inputs.Add(new(t.Name, t.TensorType));
        }
        return graph;
    }

    private string Input(string name, Tensor value)
    {
        Batch[name] = value.Rename(name);
        Forward.Inputs.Add(new(name, value.TensorType));
        return name;
    }

    private string Weight(string name, long[] dims, float low = -0.6f, float high = 0.6f) => Parameter(trainable, name, F(dims, low, high, ++seed));

    private string Frozen(string name, long[] dims, float low = -0.6f, float high = 0.6f) => Parameter(frozen, name, F(dims, low, high, ++seed));

    private string Parameter(List<Tensor> list, string name, Tensor value)
    {
        list.Add(value.Rename(name));
        return Constant(value.Rename(name));
    }

    private string Constant(Tensor value)
    {
        Forward.Initializers.Add(value.Name, value);
        return value.Name;
    }

    private string Longs(params long[] values) => Constant(Tensor.From<long>($"longs_{Forward.Initializers.Count}", values, values.Length));

    private string Node(string op, IEnumerable<string> inputs, Action<Node>? attributes = null, string domain = "") => Nodes(op, domain, inputs, 1, attributes)[0];

    private string[] Nodes(string op, string domain, IEnumerable<string> inputs, int outputs, Action<Node>? attributes = null)
    {
        string[] names = [.. Enumerable.Range(0, outputs).Select(i => $"/{op}_{Forward.Nodes.Count}_output_{i}")];
        var node = new Node(op, domain, inputs, names, $"/{op}_{Forward.Nodes.Count}");
        attributes?.Invoke(node);
        Forward.Nodes.Add(node);
        return names;
    }

    private string Linear(string x, string name, long from, long to) => Node("Gemm", [x, Weight($"{name}.weight", [to, from]), Weight($"{name}.bias", [to])], n => n.With("transB", 1L));

    private string Biased(string x, string name, long from, long to) => Node("Add", [Node("MatMul", [x, Weight($"{name}.weight", [from, to])]), Weight($"{name}.bias", [to])]);

    private string Norm(string x, string name, long width) =>
        Nodes("LayerNormalization", "", [x, Weight($"{name}.weight", [width], 0.5f, 1.5f), Weight($"{name}.bias", [width])], 3, n => n.With("axis", -1L).With("epsilon", 1e-5f))[0];

    private ForeignModel CrossEntropy(string scores, Tensor labels, Tensor weights)
    {
        Forward.Nodes.Add(new Node("SoftmaxCrossEntropyLoss", "", [scores, Input("labels", labels), Constant(weights)], ["loss", "log_prob"]).With("reduction", "mean").With("ignore_index", -100L));
        return Finish(scores);
    }

    private ForeignModel InternalCrossEntropy(string scores, Tensor labels)
    {
        Forward.Nodes.Add(new Node("SoftmaxCrossEntropyLossInternal", "com.microsoft", [scores, Input("labels", labels)], ["loss", "log_prob"]).With("reduction", "mean"));
        return Finish(scores);
    }

    private ForeignModel SquaredError(string scores, Tensor target)
    {
        string difference = Node("Sub", [scores, Input("target", target)]);
        string square = Node("Pow", [difference, Constant(Tensor.From("two", [2f]))]);
        Forward.Nodes.Add(new Node("ReduceMean", "", [square], ["loss"]).With("keepdims", 0L));
        return Finish(scores);
    }

    private ForeignModel Finish(string scores, string loss = "loss", Shape? shape = null)
    {
        Loss = loss;
        Forward.Outputs.Add(new(loss, new(ElementType.Float, shape ?? Shape.Scalar)));
        ShapeInference.Infer(Forward);
        Forward.Outputs.Add(new(scores, Forward.TypeOf(scores)));
        return this;
    }
}
