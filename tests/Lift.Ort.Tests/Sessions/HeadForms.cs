using Lift.Ort.Artifacts;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Sessions;

/// <summary>Small models with the heads of real ones: hidden states [batch, sequence, 6] of tokens become logits over 40 classes.</summary>
internal static class HeadForms
{
    public const int Vocab = 40, Width = 6;

    /// <summary>Forms by name; the argument gives a weight of this name and these dimensions.</summary>
    private static readonly Dictionary<string, Func<Var, Func<string, long[], Var>, Var>> forms = new()
    {
        ["linear"] = (h, w) => h.MatMul(w("head", [Width, Vocab])),
        ["linear with bias"] = (h, w) => h.MatMul(w("head", [Width, Vocab])) + w("bias", [Vocab]),
        ["bias first"] = (h, w) => w("bias", [Vocab]) + h.MatMul(w("head", [Vocab, Width]).Transpose(1, 0)),
        ["tied"] = (h, w) => h.MatMul(w("embedding", [Vocab, Width]).Transpose(1, 0)),
        ["gemm with bias"] = (h, w) => Back(h, h.Reshape(-1, Width).Graph.Add("Gemm", [h.Reshape(-1, Width), w("head", [Vocab, Width]), w("bias", [Vocab])], n => n.With("transB", 1L))),
        ["gemm with factor"] = (h, w) => Back(h, h.Graph.Add("Gemm", [h.Reshape(-1, Width), w("head", [Width, Vocab])], n => n.With("alpha", 0.5f))),
        ["fused product"] = (h, w) => h.Graph.Add("FusedMatMul", [h, w("head", [Vocab, Width])], n => n.With("transB", 1L).With("alpha", 0.5f), "com.microsoft"),
        ["scaled (Cohere)"] = (h, w) => h.MatMul(w("embedding", [Vocab, Width]).Transpose(1, 0)) * 0.25,
        ["divided (Granite)"] = (h, w) => h.MatMul(w("head", [Width, Vocab])) / 4,
        ["scaled with bias"] = (h, w) => (h.MatMul(w("head", [Width, Vocab])) + w("bias", [Vocab])) * 0.25,
        ["capped (Gemma 2)"] = (h, w) => h.Graph.Add("Tanh", [h.MatMul(w("embedding", [Vocab, Width]).Transpose(1, 0)) / 3]) * 3,
        ["nothing added (torch.onnx, dynamo)"] = (h, w) => h.MatMul(w("head", [Vocab, Width]).Transpose(1, 0)) + w("bias", [Vocab]) + 0.0,
        ["hidden reshaped"] = (h, w) => Back(h, h.Reshape(-1, Width).MatMul(w("head", [Width, Vocab]))),
        ["bias before the factor"] = (h, w) => h.MatMul(w("head", [Width, Vocab])) * 0.25 + w("bias", [Vocab]),
        ["product of two weights"] = (h, w) => h.MatMul(w("down", [Width, 3])).MatMul(w("head", [3, Vocab])),
    };

    /// <summary>Forms that the operator cannot say: the chain stays.</summary>
    public static readonly string[] Others = ["bias before the factor"];

    public static IEnumerable<string> Names => forms.Keys;

    public static ArtifactFolder Prepare(TempFolder temp, string form, params string[] train)
    {
        var graph = new Graph { Opset = 17, IrVersion = 8 };
        graph.Domains["com.microsoft"] = 1;
        graph.Inputs.Add(new("ids", new(ElementType.Int64, new Shape("batch", "sequence"))));
        ShapeInference.InferInputs(graph);
        Var Weight(string name, long[] dims)
        {
            if (!graph.Initializers.ContainsKey($"{name}.weight")) graph.Initializers.Add($"{name}.weight", F(dims, -1f, 1f, name.Length).Rename($"{name}.weight"));
            graph.Types[$"{name}.weight"] = graph.Initializers[$"{name}.weight"].TensorType;
            return graph.Var($"{name}.weight");
        }
        Var hidden = Weight("embedding", [Vocab, Width]).Gather(graph.Var("ids")).MatMul(Weight("inner", [Width, Width]));
        Var logits = forms[form](hidden, Weight).Identity("logits");
        graph.Outputs.Add(new("logits", logits.Type));
        OnnxFile.Write(graph, temp["model.onnx"]);
        return ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(temp["model.onnx"]), new() { Loss = "causal-lm", Train = train, Freeze = [] }), temp["model.onnx"], temp["prepared"]);
    }

    public static Dictionary<string, Tensor> Batch()
    {
        long[] ids = [.. Enumerable.Range(0, 3 * 7).Select(i => (long)(i * 17 % Vocab))];
        return new() { ["ids"] = Tensor.From<long>("ids", ids, 3, 7), ["labels"] = Tensor.From<long>("labels", [.. ids.Select((id, i) => i % 5 == 2 ? -100 : id)], 3, 7) };
    }

    private static Var Back(Var hidden, Var rows) => rows.Reshape(hidden.Graph.Concat(0, hidden.ShapeOf().Slice(0, 2, 0), hidden.Graph.Longs(Vocab)));
}
