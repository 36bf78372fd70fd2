using System.Collections.Frozen;
using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Onnx.Opsets;

/// <summary>
/// Brings a graph of opset 11 to 24 into the range 17 to 21, node by node in order, and infers types on the way. Each rule says in which opset an operator
/// changed its form and how the old form is said in the new one; operators whose later versions only admit more element types need none. Operators that are new
/// in opset 23 and 24 and mean several older ones (Attention, RMSNormalization, RotaryEmbedding, Swish, TensorScatter) stay: room Lowering writes them out.
/// Source: the version history in ONNX's operator reference (Changelog.md).
/// </summary>
internal static class OpsetConverter
{
    public const int Oldest = 11, Lowest = 17, Highest = 21, Newest = 24;

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
        ["DequantizeLinear"] = r => { if (r.Node.Has("output_dtype")) throw r.Refuse("its attribute output_dtype is new in opset 23"); },
        ["QuantizeLinear"] = r => { if (r.Node.Has("precision")) throw r.Refuse("its attribute precision is new in opset 23"); },
    };

    /// <summary>Operators that take bfloat16 from opset 22 on: before, they compute in float32, between casts.</summary>
    private static readonly FrozenSet<string> wider = """
        Acos Acosh Asin Asinh Atan Atanh AveragePool Bernoulli Conv ConvTranspose Cos Cosh DeformConv Det Dropout Elu EyeLike GRU GlobalAveragePool GlobalLpPool
        GlobalMaxPool GridSample HardSigmoid HardSwish InstanceNormalization LSTM LpNormalization LpPool MaxPool MaxRoiPool MaxUnpool Mish Multinomial
        NegativeLogLikelihoodLoss RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike RoiAlign Round Selu Sin Sinh Softplus Softsign Tan ThresholdedRelu
        """.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).ToFrozenSet();

    /// <exception cref="LiftException">The opset is outside 11 to 24, or a node uses a form that 17 to 21 cannot say.</exception>
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
            foreach (Node n in Convert(graph, node, from, path))
            {
                graph.Nodes.Add(n);
                ShapeInference.Infer(graph, n);
            }
        }
        graph.Opset = Math.Clamp(from, Lowest, Highest);
        if (graph.Opset != from && graph.Nodes.Exists(n => n.Subgraphs.Any())) graph.SubgraphOpset = from;
    }

    /// <summary>What says the same as a node of opset <paramref name="from"/> in the range and is not in the graph yet; the types of its inputs are known.</summary>
    /// <exception cref="LiftException">The range cannot say it.</exception>
    public static List<Node> Convert(Graph graph, Node node, int from, string path)
    {
        List<Node> result = [node];
        for (int version = from + 1; version <= Lowest; version++) result = [.. result.SelectMany(n => Apply(graph, n, path, raising.GetValueOrDefault((n.Operator, version))))];
        if (BatchFirst.Is(node)) result = Apply(graph, node, path, BatchFirst.Rewrite);
        if (from > Highest && wider.Contains(node.Operator) && node.Inputs.Any(i => graph.TypeOf(i).Element == ElementType.BFloat16))
        {
            ComputeWide(graph, node);
            return [];
        }
        if (from > Highest) result = Apply(graph, node, path, lowering.GetValueOrDefault(node.Operator));
        return result;
    }

    private static List<Node> Apply(Graph graph, Node node, string path, Action<NodeRewrite>? rule)
    {
        var rewrite = new NodeRewrite(graph, node, path);
        rule?.Invoke(rewrite);
        return rewrite.Result;
    }

    /// <summary>Subgraphs that are left travel as they are, so they must hold only what the graph's opset can say.</summary>
    /// <exception cref="LiftException">Names the node and the operator inside it.</exception>
    public static void CheckSubgraphs(Graph graph)
    {
        int from = graph.SubgraphOpset;
        if (from == 0 || from == graph.Opset) return;
        foreach (Node node in graph.Nodes)
        {
            foreach (NodeProto inner in node.Subgraphs.SelectMany(Inner))
            {
                bool other = raising.Keys.Any(k => k.Operator == inner.OpType && k.Version > from) || (from > Highest && lowering.ContainsKey(inner.OpType));
                if (other) throw new LiftException($"{node} stays as it is, and its subgraph uses {inner.OpType} '{inner.Name}' in the form of opset {from}, which opset {graph.Opset} does not know; export the model with opset {Lowest} to {Highest}.");
            }
        }
    }

    private static IEnumerable<NodeProto> Inner(GraphProto graph) => graph.Node.SelectMany(n => n.Attribute.SelectMany(SubgraphNames.Of).SelectMany(Inner).Prepend(n));

    /// <summary>Casts a node's bfloat16 inputs to float32 and its float32 outputs back.</summary>
    private static void ComputeWide(Graph graph, Node node)
    {
        void Append(Node n)
        {
            graph.Nodes.Add(n);
            ShapeInference.Infer(graph, n);
        }
        string Cast(string from, string to, ElementType type)
        {
            Append(new Node("Cast", "", [from], [to], to).With("to", (long)type));
            return to;
        }
        for (int i = 0; i < node.Inputs.Count; i++)
        {
            if (graph.TypeOf(node.Inputs[i]).Element == ElementType.BFloat16) node.Inputs[i] = Cast(node.Inputs[i], graph.NewName($"{node.Inputs[i]}_float"), ElementType.Float);
        }
        string[] outputs = [.. node.Outputs];
        for (int i = 0; i < outputs.Length; i++)
        {
            if (outputs[i].Length == 0) continue;
            node.Outputs[i] = graph.NewName($"{outputs[i]}_float");
            if (graph.Types.TryGetValue(outputs[i], out var hint) && hint.Element != ElementType.BFloat16) graph.Types[node.Outputs[i]] = hint;
        }
        Append(node);
        for (int i = 0; i < outputs.Length; i++)
        {
            if (outputs[i].Length == 0) continue;
            bool wide = graph.TypeOf(node.Outputs[i]).Element is ElementType.Float or ElementType.Undefined;
            if (wide) Cast(node.Outputs[i], outputs[i], ElementType.BFloat16);
            else Append(new Node("Identity", "", [node.Outputs[i]], [outputs[i]], outputs[i]));
        }
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
