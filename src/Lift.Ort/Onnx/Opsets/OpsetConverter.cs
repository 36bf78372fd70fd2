using System.Collections.Frozen;

namespace Lift.Ort.Onnx.Opsets;

/// <summary>
/// Brings a graph of opset 11 to 23 into the range 17 to 21, node by node in order, and infers types on the way. Each rule says in which opset an operator
/// changed its form and how the old form is said in the new one; operators whose later versions only admit more element types need none.
/// Source: the version history in ONNX's operator reference (Changelog.md).
/// </summary>
internal static class OpsetConverter
{
    public const int Oldest = 11, Lowest = 17, Highest = 21, Newest = 23;

    private static readonly Dictionary<(string Operator, int Version), Action<NodeRewrite>> raising = new()
    {
        [("Dropout", 12)] = Dropout,
        [("Squeeze", 13)] = r => r.ToInput("axes", 1),
        [("Unsqueeze", 13)] = r => r.ToInput("axes", 1),
        [("ReduceSum", 13)] = r => r.ToInput("axes", 1),
        [("Split", 13)] = r => r.ToInput("split", 1),
        [("Softmax", 13)] = OverFlattened,
        [("LogSoftmax", 13)] = OverFlattened,
        [("Hardmax", 13)] = OverFlattened,
        [("BatchNormalization", 14)] = BatchNormalization,
        [("RoiAlign", 16)] = r => r.Node.With("coordinate_transformation_mode", r.Node.String("coordinate_transformation_mode", "output_half_pixel")),
    };

    private static readonly Dictionary<string, Action<NodeRewrite>> lowering = new()
    {
        // ONNX Runtime's own operator in the standard domain computes the same, and has a gradient operator.
        ["RMSNormalization"] = r => r.ReplaceBy(Like(r.Node, "SimplifiedLayerNormalization")),
        ["Attention"] = Refuse,
        ["RotaryEmbedding"] = Refuse,
        ["DequantizeLinear"] = r => { if (r.Node.Has("output_dtype")) throw r.Refuse("its attribute output_dtype is new in opset 23"); },
        ["QuantizeLinear"] = r => { if (r.Node.Has("precision")) throw r.Refuse("its attribute precision is new in opset 23"); },
    };

    /// <summary>Operators that take bfloat16 from opset 22 on.</summary>
    private static readonly FrozenSet<string> wider = """
        Acos Acosh Asin Asinh Atan Atanh AveragePool Bernoulli Conv ConvTranspose Cos Cosh DeformConv Det Dropout Elu EyeLike GRU GlobalAveragePool GlobalLpPool
        GlobalMaxPool GridSample HardSigmoid HardSwish InstanceNormalization LSTM LpNormalization LpPool MaxPool MaxRoiPool MaxUnpool Mish Multinomial
        NegativeLogLikelihoodLoss RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike RoiAlign Round Selu Sin Sinh Softplus Softsign Tan ThresholdedRelu
        """.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).ToFrozenSet();

    /// <exception cref="LiftException">The opset is outside 11 to 23, or a node uses a form that 17 to 21 cannot say.</exception>
    public static void Normalise(Graph graph, string path)
    {
        int from = graph.Opset;
        if (from is < Oldest or > Newest)
        {
            throw new LiftException($"'{path}' uses opset {from} of the standard operators; opsets {Oldest} to {Newest} can be read, so export it again with one of them.");
        }
        ShapeInference.InferInputs(graph);
        Node[] nodes = [.. graph.Nodes];
        graph.Nodes.Clear();
        foreach (Node node in nodes)
        {
            List<Node> result = [node];
            if (from < Lowest) CheckSubgraphs(graph, node, path);
            for (int version = from + 1; version <= Lowest; version++) result = [.. result.SelectMany(n => Apply(graph, n, path, raising.GetValueOrDefault((n.Operator, version))))];
            if (from > Highest && wider.Contains(node.Operator) && node.Input(0) is { } x && graph.TypeOf(x).Element == ElementType.BFloat16)
            {
                throw new NodeRewrite(graph, node, path).Refuse($"before opset 22 {node.OpType} does not take bfloat16; store the model as float16 or float32");
            }
            if (from > Highest) result = Apply(graph, node, path, lowering.GetValueOrDefault(node.Operator));
            foreach (Node n in result)
            {
                graph.Nodes.Add(n);
                ShapeInference.Infer(graph, n);
            }
        }
        graph.Opset = Math.Clamp(from, Lowest, Highest);
    }

    private static List<Node> Apply(Graph graph, Node node, string path, Action<NodeRewrite>? rule)
    {
        var rewrite = new NodeRewrite(graph, node, path);
        rule?.Invoke(rewrite);
        return rewrite.Result;
    }

    /// <summary>Subgraphs travel as they are, so they must not hold an old form.</summary>
    private static void CheckSubgraphs(Graph graph, Node node, string path)
    {
        foreach (NodeProto inner in node.Attributes.Values.SelectMany(a => a.G is null ? a.Graphs : a.Graphs.Append(a.G)).SelectMany(g => g.Node))
        {
            bool old = raising.Keys.Any(k => k.Operator == inner.OpType && k.Version > graph.Opset);
            if (old) throw new NodeRewrite(graph, node, path).Refuse($"its subgraph uses an old form of {inner.OpType} '{inner.Name}'; export the model with opset {Lowest} or later");
        }
    }

    private static void Refuse(NodeRewrite r) => throw r.Refuse($"{r.Node.OpType} of opset 23 has no older form; export the model with opset {Highest} or earlier");

    private static Node Like(Node node, string op)
    {
        Node copy = node.Clone();
        copy.OpType = op;
        return copy;
    }

    /// <summary>The ratio became an input. Without training_mode the node passes its input on, as it did before at inference.</summary>
    private static void Dropout(NodeRewrite r)
    {
        if (!r.Node.Has("ratio")) return;
        r.SetInput(1, r.Graph.Constant([r.Node.Float("ratio")], []).Name);
        r.Node.Attributes.Remove("ratio");
    }

    /// <summary>Before 13 the input was seen as a matrix: all axes from <c>axis</c> (default 1) on were one.</summary>
    private static void OverFlattened(NodeRewrite r)
    {
        long axis = r.Node.Int("axis", 1);
        if (axis == -1 || axis == r.Rank - 1)
        {
            r.Node.With("axis", -1L);
            return;
        }
        string input = r.Node.Inputs[0], shape = r.NewName("shape"), flat = r.NewName("flat"), rows = r.NewName("rows");
        r.ReplaceBy(
            new Node("Shape", "", [input], [shape]),
            new Node("Flatten", "", [input], [flat]).With("axis", axis),
            new Node(r.Node.OpType, "", [flat], [rows], r.Node.Name).With("axis", -1L),
            new Node("Reshape", "", [rows, shape], r.Node.Outputs));
    }

    /// <summary>More than one output meant training, which became an attribute; the two saved statistics vanished.</summary>
    private static void BatchNormalization(NodeRewrite r)
    {
        if (r.Node.Output(3) is not null || r.Node.Output(4) is not null) throw r.Refuse("it puts out the saved statistics of training; export the model for inference");
        if (r.Node.Output(1) is not null || r.Node.Output(2) is not null) r.Node.With("training_mode", 1L);
        while (r.Node.Outputs.Count > (r.Node.Has("training_mode") ? 3 : 1)) r.Node.Outputs.RemoveAt(r.Node.Outputs.Count - 1);
    }
}
