using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Artifacts;

/// <summary>
/// Writes the backward nodes that ONNX Runtime 1.19's own gradient builder writes for a forward graph, operator by operator, in its vocabulary and with its names
/// (X_grad; Sum where a value is used twice): what generate_artifacts puts into a training model. Independent of our rules. Source: orttraining's gradient builder, read, not copied.
/// </summary>
internal sealed class GradientBuilder(Graph graph)
{
    private readonly Dictionary<string, List<string>> gradients = [];
    private readonly List<Node> backward = [];
    private int count;

    /// <summary>Appends the gradient nodes of <paramref name="loss"/> and answers the gradient value of each parameter.</summary>
    public Dictionary<string, string> Build(string loss, IEnumerable<string> parameters)
    {
        gradients[loss] = [Value(graph.TypeOf(loss).Rank is > 0 and var rank ? Tensor.From<float>("loss_grad", [1f], [.. Enumerable.Repeat(1L, rank)]) : Tensor.Scalar("loss_grad", 1f))];
        foreach (Node node in graph.Nodes.AsEnumerable().Reverse().ToArray())
        {
            if (node.Outputs.Any(gradients.ContainsKey)) Visit(node, [.. node.Outputs.Select(o => Gradient(o) ?? "")]);
        }
        var result = parameters.ToDictionary(p => p, p => Gradient(p) ?? throw new InvalidOperationException($"no gradient reaches {p}"));
        graph.Nodes.AddRange(backward);
        return result;
    }

    private string? Gradient(string value)
    {
        if (!gradients.TryGetValue(value, out var parts)) return null;
        if (parts.Count > 1) gradients[value] = parts = [Add("Sum", "", parts)];
        return parts[0];
    }

    private void Give(string value, string gradient)
    {
        if (!gradients.TryGetValue(value, out var list)) gradients[value] = list = [];
        list.Add(gradient);
        graph.Types[gradient] = graph.TypeOf(value); // the builder declares a gradient like its value
    }

    private string Add(string op, string domain, IEnumerable<string> inputs, Action<Node>? attributes = null) => Add(op, domain, inputs, 1, attributes)[0];

    private string[] Add(string op, string domain, IEnumerable<string> inputs, int outputs, Action<Node>? attributes = null)
    {
        string[] names = [.. Enumerable.Range(0, outputs).Select(i => $"{op}_Grad/{count++}")];
        var node = new Node(op, domain, inputs, names, names[0]);
        attributes?.Invoke(node);
        backward.Add(node);
        return names;
    }

    private string Ms(string op, IEnumerable<string> inputs, Action<Node>? attributes = null) => Add(op, "com.microsoft", inputs, attributes);

    private string Value(Tensor tensor)
    {
        string name = graph.NewName(tensor.Name);
        graph.Initializers.Add(name, tensor.Rename(name));
        return name;
    }

    private string Longs(params long[] values) => Value(Tensor.From<long>("axes", values, values.Length));

    private string Shape(string value) => Add("Shape", "", [value]);

    /// <summary>What the builder writes where it does not know shapes: the axes are compared when the graph runs.</summary>
    private void GiveReduced(string gradient, string input, string other)
    {
        string shape = Shape(input);
        string axes = Add("BroadcastGradientArgs", "com.microsoft", [shape, Shape(other)], 2)[0];
        string sum = Ms("ReduceSumTraining", [gradient, axes], n => n.With("keepdims", 1L).With("noop_with_empty_axes", 1L));
        Give(input, Add("Reshape", "", [sum, shape]));
    }

    /// <summary>What it writes where it knows them.</summary>
    private void GiveSummed(string gradient, string input, params long[] axes) =>
        Give(input, Add("Reshape", "", [Add("ReduceSum", "", [gradient, Longs(axes)], n => n.With("keepdims", 1L)), Shape(input)]));

    private static Action<Node> Like(Node node) => n =>
    {
        foreach (var a in node.Attributes.Values) n.Set(a);
    };

    private void Visit(Node node, string[] dy)
    {
        List<string> x = node.Inputs, y = node.Outputs;
        switch (node.OpType)
        {
            case "Gemm": // transB = 1, as every exported linear layer
                Give(x[0], Add("Gemm", "", [dy[0], x[1]], n => n.With("beta", 0f)));
                Give(x[1], Add("Gemm", "", [dy[0], x[0]], n => n.With("transA", 1L).With("beta", 0f)));
                string reduced = Add("ReduceSum", "", [dy[0], Longs(0)], n => n.With("keepdims", 1L));
                Give(x[2], Add("Identity", "", [Add("Reshape", "", [reduced, Shape(x[2])])]));
                break;
            case "MatMul" when graph.TypeOf(x[0]).Rank == 2 && graph.TypeOf(x[1]).Rank == 2:
                Give(x[0], Add("Gemm", "", [dy[0], x[1]], n => n.With("beta", 0f).With("transB", 1L)));
                Give(x[1], Add("Gemm", "", [x[0], dy[0]], n => n.With("beta", 0f).With("transA", 1L)));
                break;
            case "MatMul" when graph.TypeOf(x[1]).Shape is { Rank: 2 } weight:
                Give(x[0], Ms("FusedMatMul", [dy[0], x[1]], n => n.With("transB", 1L)));
                string a = Add("Reshape", "", [x[0], Longs(-1, weight[0].Value!.Value)]), g = Add("Reshape", "", [dy[0], Longs(-1, weight[1].Value!.Value)]);
                Give(x[1], Add("Gemm", "", [a, g], n => n.With("transA", 1L)));
                break;
            case "MatMul":
                Give(x[0], Ms("FusedMatMul", [dy[0], x[1]], n => n.With("transB", 1L)));
                Give(x[1], Ms("FusedMatMul", [x[0], dy[0]], n => n.With("transA", 1L)));
                break;
            case "Add":
                GiveReduced(dy[0], x[0], x[1]);
                GiveReduced(dy[0], x[1], x[0]);
                break;
            case "Sub":
                if (!graph.Initializers.ContainsKey(x[0])) GiveReduced(dy[0], x[0], x[1]);
                if (!graph.Initializers.ContainsKey(x[1]) && graph.Inputs.All(i => i.Name != x[1])) GiveReduced(Add("Neg", "", [dy[0]]), x[1], x[0]);
                break;
            case "Abs":
                Give(x[0], Add("Mul", "", [dy[0], Add("Sign", "", [x[0]])]));
                break;
            case "Log":
                Give(x[0], Add("Div", "", [dy[0], x[0]]));
                break;
            case "Neg":
                Give(x[0], Add("Neg", "", [dy[0]]));
                break;
            case "Mul" when graph.Inputs.Any(i => i.Name == x[1]):
                GiveReduced(Add("Mul", "", [dy[0], x[1]]), x[0], x[1]);
                break;
            case "Mul":
                GiveReduced(Add("Mul", "", [dy[0], x[1]]), x[0], x[1]);
                GiveReduced(Add("Mul", "", [dy[0], x[0]]), x[1], x[0]);
                break;
            case "Div" when graph.Initializers.ContainsKey(x[1]):
                GiveReduced(Add("Div", "", [dy[0], x[1]]), x[0], x[1]);
                break;
            case "Div":
                string[] both = Add("DivGrad", "com.microsoft", [dy[0], x[0], x[1]], 2);
                Give(x[0], both[0]);
                Give(x[1], both[1]);
                break;
            case "Pow":
                string power = Add("Pow", "", [x[0], Add("Sub", "", [x[1], Value(Tensor.Scalar("one", 1f))])]);
                Give(x[0], Add("Mul", "", [Add("Mul", "", [power, x[1]]), dy[0]]));
                break;
            case "Relu":
                Give(x[0], Ms("ReluGrad", [dy[0], y[0]]));
                break;
            case "Sigmoid" or "Tanh" or "LeakyRelu":
                Give(x[0], Ms(node.OpType + "Grad", [dy[0], y[0]], Like(node)));
                break;
            case "Gelu" or "FastGelu" or "QuickGelu":
                Give(x[0], Ms(node.OpType + "Grad", [dy[0], x[0]], Like(node)));
                break;
            case "BiasGelu":
                string dx = Ms("BiasGeluGrad_dX", [dy[0], x[0], x[1]]);
                Give(x[0], dx);
                GiveSummed(dx, x[1], 0, 1);
                break;
            case "LayerNormalization":
                string[] d = Add("LayerNormalizationGrad", "com.microsoft", [dy[0], x[0], x[1], y[1], y[2]], 3, Like(node));
                for (int i = 0; i < 3; i++) Give(x[i], d[i]);
                break;
            case "Softmax" or "LogSoftmax":
                Give(x[0], Ms(node.OpType + "Grad_13", [dy[0], y[0]], Like(node)));
                break;
            case "Dropout":
                Give(x[0], Ms("DropoutGrad", [dy[0], y[1], x[1], x[2]], Like(node)));
                break;
            case "Reshape" or "Flatten":
                Give(x[0], Add("Reshape", "", [dy[0], Shape(x[0])]));
                break;
            case "Transpose":
                long[] p = node.Ints("perm")!;
                Give(x[0], Add("Transpose", "", [dy[0]], n => n.With("perm", Enumerable.Range(0, p.Length).Select(i => (long)Array.IndexOf(p, i)))));
                break;
            case "Gather":
                Give(x[0], Ms("GatherGrad", [Shape(x[0]), x[1], dy[0]], Like(node)));
                break;
            case "GatherND":
                Give(x[0], Ms("GatherNDGrad", [Shape(x[0]), x[1], dy[0]], n => n.With("batch_dims", node.Int("batch_dims"))));
                break;
            case "Slice":
                Give(x[0], Ms("SliceGrad", [dy[0], Shape(x[0]), .. x.Skip(1)]));
                break;
            case "ConcatTraining":
                string[] parts = Add("SplitTraining", "com.microsoft", [dy[0], y[1]], x.Count, n => n.With("axis", node.Int("axis")));
                for (int i = 0; i < parts.Length; i++) Give(x[i], parts[i]);
                break;
            case "Conv":
                string[] dc = Add("ConvGrad", "com.microsoft", [dy[0], x[0], x[1]], x.Count, Like(node));
                for (int i = 0; i < dc.Length; i++) Give(x[i], dc[i]);
                break;
            case "BatchNormInternal":
                string[] db = Add("BatchNormalizationGrad", "com.microsoft", [dy[0], x[0], x[1], y[3], y[4]], 3, n => n.With("epsilon", node.Float("epsilon", 1e-5f)));
                for (int i = 0; i < 3; i++) Give(x[i], db[i]);
                break;
            case "MaxPool":
                Give(x[0], Add("MaxPoolGrad", "", [dy[0], y[1]], Like(node)));
                break;
            case "AveragePool":
                Give(x[0], Add("AveragePoolGrad", "", [dy[0]], Like(node)));
                break;
            case "GlobalAveragePool" or "ReduceMean":
                string scale = Add("Div", "", [Add("Size", "", [x[0]]), Add("Size", "", [y[0]])]);
                Give(x[0], Add("Expand", "", [Ms("Scale", [dy[0], scale], n => n.With("scale_down", 1L)), Shape(x[0])]));
                break;
            case "ReduceSum":
                Give(x[0], Add("Expand", "", [dy[0], Shape(x[0])]));
                break;
            case "ScaledSum":
                string[] scaled = Add("BatchScale", "com.microsoft", [dy[0]], x.Count, Like(node));
                for (int i = 0; i < x.Count; i++) Give(x[i], scaled[i]);
                break;
            case "SoftmaxCrossEntropyLoss":
                Give(x[0], Ms("SoftmaxCrossEntropyLossGrad", [dy[0], y[1], .. x.Skip(1)], Like(node)));
                break;
            case "SoftmaxCrossEntropyLossInternal":
                Give(x[0], Ms("SoftmaxCrossEntropyLossInternalGrad", [dy[0], y[1], .. x.Skip(1)], Like(node)));
                break;
            default:
                throw new NotSupportedException(node.OpType);
        }
    }
}
