using Google.Protobuf;
using Lift.Ort.Architectures;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Gradients;
using Lift.Ort.Tests.Lowering.ControlFlow;
using Lift.Ort.Tests.Lowering.Decoders;

namespace Lift.Ort.Tests.Fuzz;

/// <summary>Sound models that mutation starts from: one of a node for every gradient case, whole models, and one with external data.</summary>
internal sealed class FuzzCorpus
{
    private readonly List<(string Name, byte[] Bytes)> files = [];

    public FuzzCorpus(string folder)
    {
        Directory.CreateDirectory(folder);
        External = Path.Combine(folder, "external.onnx");
        foreach (string op in GradientRules.Operators.Order(StringComparer.Ordinal))
            foreach (GradientCase c in GradientCases.Table[op].Take(2)) Add($"{op} ({c.Note})", p => OnnxFile.Write(OneNode(op, c), p));
        LlamaShape shape = LlamaShape.Presets["stories260k"] with { Width = 16, Layers = 1, Heads = 2, KvHeads = 1, Ffn = 24, Vocab = 32 };
        foreach (ElementType type in new[] { ElementType.Float, ElementType.Float16, ElementType.BFloat16 })
            Add($"llama {type}", p => NewModel.WriteLlama(p, shape, type, seed: 1, attentionMask: true));
        foreach (string name in new[] { "mlp", "densenet-bn-tiny", "mobilenetv2-tiny", "bert-tiny", "gpt2-merged-tiny", "llama-tiny-folded" })
        {
            string shared = Path.Combine(TestFiles.Root, "..", "shared", "models", name, "model.onnx");
            if (File.Exists(shared)) files.Add((name, File.ReadAllBytes(shared)));
        }
        foreach (string name in RecordedDecoder.Names) files.Add((name, File.ReadAllBytes(new RecordedDecoder(name).Path)));
        foreach (var (name, model) in ControlFlowModel.Samples) files.Add((name, model.Proto.ToByteArray()));
        if (Environment.GetEnvironmentVariable("LIFT_FUZZ_ONLY") is { Length: > 0 } only) files.RemoveAll(f => f.Name != "llama Float" && !System.Text.RegularExpressions.Regex.IsMatch(f.Name, only));
        OnnxFile.Write(OnnxFile.Read(Save(folder, "plain.onnx", files.First(f => f.Name == "llama Float").Bytes)), External, externalData: true);
        files.Add(("external", File.ReadAllBytes(External)));

        void Add(string name, Action<string> write)
        {
            string path = Path.Combine(folder, "seed.onnx");
            write(path);
            files.Add((name, File.ReadAllBytes(path)));
        }
    }

    public int Count => files.Count;

    /// <summary>The model with external data; mutants must lie beside it to find <c>external.onnx.data</c>.</summary>
    public string External { get; }

    public (string Name, byte[] Bytes) this[int index] => files[index];

    private static string Save(string folder, string name, byte[] bytes)
    {
        string path = Path.Combine(folder, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private static Graph OneNode(string op, GradientCase c)
    {
        var graph = new Graph { Opset = c.Opset, Domains = { ["com.microsoft"] = 1 } };
        var inputs = new List<Var?>();
        for (int i = 0; i < c.Inputs.Length; i++)
        {
            Tensor? t = c.Inputs[i]?.Rename($"x{i}");
            inputs.Add(t is null ? null : graph.Var(t.Name));
            if (t is null) continue;
            graph.Initializers.Add(t.Name, t);
        }
        int dot = op.LastIndexOf('.');
        Var[] outputs = graph.AddMany(op[(dot + 1)..], c.Outputs, inputs, c.Attributes, dot < 0 ? "" : op[..dot], "y");
        graph.Outputs.AddRange(outputs.Select(y => new GraphValue(y.Name, graph.TypeOf(y.Name))));
        return graph;
    }
}
