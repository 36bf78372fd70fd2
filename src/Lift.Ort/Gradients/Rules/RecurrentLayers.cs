using System.Globalization;
using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of recurrent layers: the node becomes ONNX Runtime's training operator, which keeps its gates, and the gradient operator takes those.</summary>
internal static class RecurrentLayers
{
    /// <summary>h, cell = LSTM(x) ⇒ LSTMGrad with the gates and cells that LSTMTraining keeps</summary>
    [Gradient("LSTM")]
    public static Var?[] Lstm(Backward b)
    {
        Train(b, "LSTMTraining", "Sigmoid", "Tanh", "Tanh");
        return LstmTraining(b);
    }

    /// <summary>h = GRU(x) ⇒ GRUGrad with the gates that GRUTraining keeps</summary>
    [Gradient("GRU")]
    public static Var?[] Gru(Backward b)
    {
        Train(b, "GRUTraining", "Sigmoid", "Tanh");
        return GruTraining(b);
    }

    /// <summary>The gradient of ONNX Runtime's LSTM for training.</summary>
    [Gradient("com.microsoft.LSTMTraining")]
    public static Var?[] LstmTraining(Backward b)
    {
        Var[] d = Grad(b, "LSTMGrad", 7, [b.X(), b.X(1), b.X(2), Maybe(b, 4), Maybe(b, 5), Maybe(b, 6), b.Out(0), b.Out(3), b.Out(4), b.DyOf(0), b.DyOf(1), b.DyOf(2), Maybe(b, 7)]);
        return [d[0], d[1], d[2], d[3], null, d[4], d[5], d[6]];
    }

    /// <summary>The gradient of ONNX Runtime's GRU for training.</summary>
    [Gradient("com.microsoft.GRUTraining")]
    public static Var?[] GruTraining(Backward b)
    {
        Var[] d = Grad(b, "GRUGrad", 5, [b.X(), b.X(1), b.X(2), Maybe(b, 3), Maybe(b, 4), Maybe(b, 5), b.Out(0), b.Out(2), b.DyOf(0), b.DyOf(1)]);
        return [d[0], d[1], d[2], d[3], null, d[4]];
    }

    /// <summary>h = tanh(x Wᵀ + h Rᵀ + b): a GRU whose update gate is shut and whose reset gate is open, so that its candidate is the state.</summary>
    [Gradient("RNN")]
    public static Var?[] Rnn(Backward b)
    {
        Graph g = b.Graph;
        Var x = b.X(), w = b.X(1), r = b.X(2);
        Var Third(Var v) => g.Concat(1, v * 0, v * 0, v);
        // σ(−10⁴) = 0 and σ(10⁴) = 1 exactly.
        Var gates = w.Slice(0, 1, 2).Reshape(0, -1) * 0;
        Var bias = g.Concat(1, b.HasX(3) ? Halves(b, gates) : [gates - 1e4, gates + 1e4, gates, gates, gates, gates]);
        Var?[] inputs = [x, Third(w), Third(r), bias, Maybe(b, 4), Maybe(b, 5)];
        void Attributes(Node n)
        {
            foreach (string name in (string[])["direction", "hidden_size", "clip"])
                if (b.Node.Attributes.TryGetValue(name, out var attribute)) n.Set(attribute);
            string[] functions = Functions(b.Node, ["Tanh"]);
            // A clip acts on the gates too; behind it, a step that is steep enough is 0 and 1 exactly again.
            string gate = b.Node.Float("clip") > 0 ? "HardSigmoid:1000000:0.5" : "Sigmoid";
            if (gate != "Sigmoid" || functions.Any(f => f != "Tanh")) n.With("activation_functions", string.Join(' ', functions.Select(f => $"{gate} {f}")));
            if (!n.Has("hidden_size")) n.With("hidden_size", Hidden(b));
        }
        Var[] y = g.AddMany("GRUTraining", 3, inputs, Attributes, "com.microsoft");
        Var[] d = g.AddMany("GRUGrad", 5, [.. inputs, y[0], y[2], b.DyOf(0), b.DyOf(1)], Attributes, "com.microsoft");
        long hidden = Hidden(b);
        Var Last(Var v) => v.Slice(2 * hidden, 3 * hidden, 1);
        Var? dBias = b.Needs(3) ? g.Concat(1, Last(d[3]), d[3].Slice(5 * hidden, 6 * hidden, 1)) : null;
        return [b.Like(d[0], x), b.Like(Last(d[1]), w), b.Like(Last(d[2]), r), dBias, null, b.HasX(5) ? b.Like(d[4], b.X(5)) : null];
    }

    private static Var[] Halves(Backward b, Var gates)
    {
        long hidden = Hidden(b);
        return [gates - 1e4, gates + 1e4, b.X(3).Slice(0, hidden, 1), gates, gates, b.X(3).Slice(hidden, 2 * hidden, 1)];
    }

    private static long Hidden(Backward b) =>
        b.Node.Has("hidden_size") ? b.Node.Int("hidden_size") : b.X(2).Shape?[2].Value ?? throw b.Refuse("its hidden size is not known");

    private static Var? Maybe(Backward b, int input) => b.HasX(input) ? b.X(input) : null;

    private static Var[] Grad(Backward b, string op, int outputs, Var?[] inputs)
    {
        if (inputs[^1] is null && op == "LSTMGrad") inputs = inputs[..^1];
        Var[] d = b.Graph.AddMany(op, outputs, inputs, n =>
        {
            foreach (var attribute in b.Node.Attributes.Values) n.Set(attribute);
        }, "com.microsoft");
        int[] of = op == "LSTMGrad" ? [0, 1, 2, 3, 5, 6, 7] : [0, 1, 2, 3, 5];
        for (int i = 0; i < outputs; i++)
            if (b.HasX(of[i])) b.Like(d[i], b.X(of[i]));
        return d;
    }

    /// <summary>Turns the node into the operator of ONNX Runtime's training build; what that cannot say goes into attributes of ours.</summary>
    private static void Train(Backward b, string op, params string[] defaults)
    {
        Node node = b.Node;
        string[] functions = Functions(node, defaults);
        if (!node.Has("hidden_size")) node.With("hidden_size", Hidden(b));
        foreach (string name in (string[])["activations", "activation_alpha", "activation_beta", "layout"]) node.Attributes.Remove(name);
        if (node.Int("input_forget") == 0) node.Attributes.Remove("input_forget");
        if (!functions.Index().All(f => f.Item == defaults[f.Index % defaults.Length])) node.With("activation_functions", string.Join(' ', functions));
        (node.OpType, node.Domain) = (op, "com.microsoft");
        b.Graph.Domains.TryAdd("com.microsoft", 1);
        for (int i = 0; i < (op == "LSTMTraining" ? 5 : 3); i++) b.Out(i);
    }

    /// <summary>The activation functions of all directions, each with its parameters: "HardSigmoid:0.2:0.5". Parameters are given in order to those functions that take any.</summary>
    private static string[] Functions(Node node, string[] defaults)
    {
        string[] names = node.Attributes.TryGetValue("activations", out var given) && given.Strings.Count > 0 ? [.. given.Strings.Select(s => s.ToStringUtf8())] : defaults;
        Queue<float> alphas = new(node.Attributes.TryGetValue("activation_alpha", out var a) ? a.Floats : []), betas = new(node.Attributes.TryGetValue("activation_beta", out var c) ? c.Floats : []);
        return [.. names.Select(name =>
        {
            string lower = name.ToLowerInvariant();
            bool takesAlpha = lower is "affine" or "leakyrelu" or "thresholdedrelu" or "scaledtanh" or "hardsigmoid" or "elu", takesBeta = lower is "affine" or "scaledtanh" or "hardsigmoid";
            if (!takesAlpha || alphas.Count == 0) return defaults.FirstOrDefault(d => d.Equals(name, StringComparison.OrdinalIgnoreCase)) ?? name;
            string text = string.Create(CultureInfo.InvariantCulture, $"{name}:{alphas.Dequeue()}");
            return takesBeta && betas.Count > 0 ? string.Create(CultureInfo.InvariantCulture, $"{text}:{betas.Dequeue()}") : text;
        })];
    }
}
