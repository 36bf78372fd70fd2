using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>With which statistics BatchNormalization normalises while a model is trained.</summary>
public enum BatchNormForm
{
    /// <summary>As the file says: the batch's where it was exported in training form (training_mode 1), the running ones elsewhere.</summary>
    File,

    /// <summary>The batch's everywhere; the running ones are renewed by each micro-batch, as PyTorch's train() does.</summary>
    Batch,

    /// <summary>The running ones everywhere, which stay as in the file, as PyTorch's eval() on the layer does.</summary>
    Frozen,
}

/// <summary>A running mean or variance that training renews.</summary>
/// <param name="Name">The initializer's name in the file.</param>
/// <param name="Updated">The output of the training model that holds its new value after a batch, in float32.</param>
public sealed record RunningStatistic(string Name, string Updated);

/// <summary>
/// The two lives of a BatchNormalization that was exported in training form (training_mode 1): in training it normalises with the batch's statistics, in evaluation
/// with the running ones, as PyTorch's train() and eval() do.
/// </summary>
internal static class BatchStatistics
{
    /// <summary>Gives every BatchNormalization the form that is asked for.</summary>
    public static void Choose(Graph graph, BatchNormForm form)
    {
        if (form == BatchNormForm.Frozen) ForEvaluation(graph);
        if (form != BatchNormForm.Batch) return;
        Node[] nodes = [.. graph.Nodes.Where(n => n.Operator == "BatchNormalization")];
        if (nodes.Length == 0)
            throw new LiftException("--batch-norm batch needs a BatchNormalization in the model, but it has none: exporters merge it into the convolution before it; export in training form (torch.onnx.export with training=TrainingMode.PRESERVE and do_constant_folding=False), or leave the option out.");
        foreach (Node node in nodes) node.With("training_mode", 1L);
        foreach (var shared in nodes.SelectMany(n => (IEnumerable<(Node Node, string Value)>)[(n, n.Inputs[3]), (n, n.Inputs[4])]).GroupBy(u => Initializer(graph, u.Value)))
        {
            if (shared.Key is { } name && shared.Select(u => u.Value).Distinct().Count() > 1)
                throw new LiftException($"--batch-norm batch cannot renew '{name}', which the exporter put in place of the equal statistics of several layers ({string.Join(", ", shared.Select(u => u.Node.Name).Distinct())}); export in training form (torch.onnx.export with training=TrainingMode.PRESERVE), or with statistics that differ.");
        }
    }

    /// <summary>ONNX Runtime's training operator in the node's place: a stock build need not know the standard one's training form.</summary>
    /// <returns>The running statistics, each with the value that the graph computes for it; a layer that is used several times renews them one after the other.</returns>
    public static IReadOnlyList<RunningStatistic> ForTraining(Graph graph)
    {
        var renewed = new Dictionary<string, string>(); // by initializer: the latest value
        foreach (Node node in Found(graph).ToArray())
        {
            (node.OpType, node.Domain) = ("BatchNormInternal", "com.microsoft");
            graph.Domains.TryAdd("com.microsoft", 1);
            for (int index = 1; index <= 2; index++)
            {
                while (node.Outputs.Count <= index) node.Outputs.Add("");
                if (node.Outputs[index].Length == 0) node.Outputs[index] = graph.NewName($"{node.Outputs[0]}.{(index == 1 ? "running_mean" : "running_var")}");
                if (renewed.TryGetValue(Initializer(graph, node.Inputs[index + 2]) ?? "", out string? latest)) node.Inputs[index + 2] = latest;
            }
            string?[] old = [Initializer(graph, node.Inputs[3], renewed), Initializer(graph, node.Inputs[4], renewed)];
            ShapeInference.Infer(graph, node);
            if (old[0] is { } mean) renewed[mean] = node.Outputs[1];
            if (old[1] is not { } variance) continue;
            int made = graph.Nodes.Count;
            renewed[variance] = Unbiased(graph, node).Name;
            Node[] correction = [.. graph.Nodes.Skip(made)];
            graph.Nodes.RemoveRange(made, correction.Length);
            graph.Nodes.InsertRange(graph.Nodes.IndexOf(node) + 1, correction); // the layer's next use reads it
        }
        return [.. renewed.Select(r => new RunningStatistic(r.Key, Named(graph, r.Key, r.Value)))];
    }

    /// <summary>The inference form in the node's place.</summary>
    public static void ForEvaluation(Graph graph)
    {
        foreach (Node node in Found(graph))
        {
            node.Attributes.Remove("training_mode");
            node.Outputs.RemoveRange(1, node.Outputs.Count - 1);
        }
    }

    /// <summary>What stands in a file in training form, written in inference form: by the node's first output. Nodes whose further outputs are read stay out.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<Node>> InferenceForm(Graph graph)
    {
        var read = graph.Nodes.SelectMany(n => n.Reads).Concat(graph.Outputs.Select(o => o.Name)).ToHashSet();
        Node[] dropout = [.. graph.Nodes.Where(n => n.Operator == "Dropout" && n.Input(2) is { } flag && graph.Initializers.TryGetValue(flag, out Tensor? on) && on.AsSpan<byte>()[0] != 0)];
        return Found(graph).Concat(dropout).Where(n => !n.Outputs.Skip(1).Any(read.Contains)).ToDictionary(n => n.Outputs[0], n =>
        {
            var plain = new Node(n.OpType, "", n.OpType == "Dropout" ? [n.Inputs[0]] : [.. n.Inputs], [n.Outputs[0]], n.Name);
            foreach (string name in (string[])["epsilon", "momentum"]) if (n.OpType != "Dropout" && n.Has(name)) plain.With(name, n.Float(name, 0));
            return (IReadOnlyList<Node>)[plain];
        });
    }

    private static IEnumerable<Node> Found(Graph graph) => graph.Nodes.Where(n => n.Operator == "BatchNormalization" && n.Int("training_mode") != 0);

    /// <summary>The initializer behind a value, copies aside; null where it is computed.</summary>
    private static string? Initializer(Graph graph, string value, Dictionary<string, string>? renewed = null)
    {
        if (renewed?.FirstOrDefault(r => r.Value == value).Key is { } known) return known;
        while (!graph.Initializers.ContainsKey(value))
        {
            if (graph.Nodes.Find(n => n.Outputs.Contains(value)) is not { OpType: "Identity" } copy) return null;
            value = copy.Inputs[0];
        }
        return value;
    }

    /// <summary>
    /// momentum · old + (1 − momentum) · variance · n/(n − 1), n being the elements of a channel: PyTorch's running variance is the unbiased one. ONNX's operator, and
    /// ONNX Runtime's on the CPU, take the variance that is divided by n (its CUDA kernel, cuDNN's, PyTorch's); it follows from that.
    /// </summary>
    private static Var Unbiased(Graph g, Node node)
    {
        Var x = g.Var(node.Inputs[0]), old = g.Var(node.Inputs[4]).Cast(ElementType.Float), biased = g.Var(node.Outputs[2]).Cast(ElementType.Float);
        Var n = g.Add("Size", [x]).Cast(ElementType.Float) / g.Add("Size", [old]).Cast(ElementType.Float);
        Var factor = n / g.Add("Max", [n - 1, n.Like(1)]);
        return (biased * factor - old * ((factor - 1) * node.Float("momentum", 0.9f))).Cast(g.TypeOf(node.Inputs[4]).Element);
    }

    private static string Named(Graph graph, string statistic, string value)
    {
        string name = graph.NewName($"{statistic}.updated");
        Var wide = graph.Var(value).Cast(ElementType.Float); // a 16-bit model's too: a session may compute it in float32 anyway
        graph.Nodes.Add(new Node("Identity", "", [wide.Name], [name], name));
        graph.Types[name] = new(ElementType.Float, graph.TypeOf(statistic).Shape);
        return name;
    }
}
