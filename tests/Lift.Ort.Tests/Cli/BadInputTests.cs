using System.Security.Cryptography;
using System.Text;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Cli;

/// <summary>The table of bad input: each row through the real program gives one sentence, exit code 2, and leaves every file as it was.</summary>
[TestClass]
public sealed class BadInputTests
{
    private static TempFolder good = null!;

    /// <summary>What is wrong, the command line (a name without a slash is a file in the case's folder), and a word that the sentence must hold.</summary>
    public static IEnumerable<object[]> Cases =>
    [
        ["truncated model", "inspect truncated.onnx", "truncated.onnx"],
        ["wrong magic", "prepare words.onnx -o prepared", "words.onnx"],
        ["empty model", "prepare empty.onnx -o prepared", "empty.onnx"],
        ["missing model", "prepare absent.onnx -o prepared", "absent.onnx"],
        ["unknown operator", "prepare unknown.onnx -o prepared", "Frobnicate"],
        ["dangling name", "prepare dangling.onnx -o prepared", "nowhere"],
        ["wrong shape", "prepare clash.onnx -o prepared", "5"],
        ["external data outside the folder", "inspect outside.onnx", "outside"],
        ["truncated checkpoint", "gradients cut -o g.safetensors --inputs batch.json", "checkpoint"],
        ["id outside the embedding", "gradients prepared -o g.safetensors --inputs far.json", "idx=999"],
        ["rows of no tokens", "train prepared --data rows.jsonl --tokenizer none -o run --max-length 0", "--max-length must be 1 or more"],
        ["rows of another shape", "train mlp --data narrow.jsonl --tokenizer none -o run", "has shape [2]"],
        ["a model that writes no text", "generate mlp.onnx --prompt 7 --tokenizer bytes", "reads no tokens"],
        ["patch over the original", "export ran -o m.onnx --patch model.onnx", "model.onnx"],
        ["patch over the result", "export ran -o m.onnx --patch m.onnx", "m.onnx"],
        ["patch in a missing folder", "export ran -o m.onnx --patch missing/p.safetensors", "missing"],
        ["positions over the model", "select model.onnx -o model.onnx", "model.onnx"],
        ["gradients over their batch", "gradients prepared --inputs batch.json -o batch.json", "batch.json"],
        ["predictions over the data", "evaluate model.onnx --data rows.jsonl --metric exact-match --predictions rows.jsonl", "rows.jsonl"],
        ["data that is no UTF-8", "train prepared --data latin.jsonl --tokenizer none -o run", "latin.jsonl"],
        ["data that is no JSON", "train prepared --data words.onnx --tokenizer none -o run", "words.onnx"],
        ["empty data set", "train prepared --data nothing.jsonl --tokenizer none -o run", "nothing.jsonl"],
        ["label out of vocabulary", "train prepared --data beyond.jsonl --tokenizer none -o run", "999"],
        ["missing tokenizer", "train prepared --data rows.jsonl --tokenizer absent -o run", "absent"],
        ["broken tokenizer", "train prepared --data rows.jsonl --tokenizer words.onnx -o run", "words.onnx"],
        ["missing data", "train prepared --data absent.jsonl --tokenizer none -o run", "absent.jsonl"],
        ["missing folder", "train absent --data rows.jsonl --tokenizer none -o run", "absent"],
        ["no run", "export prepared -o m.onnx", "prepared"],
        ["output in a missing folder", "new -o missing/m.onnx", "missing"],
    ];

    [ClassInitialize]
    public static void Make(TestContext _)
    {
        good = TestFiles.Temp();
        LiftRun.Here("new", "--width", "16", "--heads", "2", "--kv-heads", "1", "--ffn", "24", "--layers", "1", "--vocab", "24", "-o", good["model.onnx"]).Good();
        byte[] model = File.ReadAllBytes(good["model.onnx"]);
        File.WriteAllBytes(good["truncated.onnx"], model[..(model.Length / 2)]);
        File.WriteAllText(good["words.onnx"], "These are words, and they are no model at all.");
        File.WriteAllText(good["empty.onnx"], "");
        Write("unknown.onnx", g => g.Nodes.Add(new Node("Frobnicate", "", ["x"], ["y"], "odd")));
        Write("dangling.onnx", g => g.Nodes.Add(new Node("Add", "", ["x", "nowhere"], ["y"], "sum")));
        Write("clash.onnx", g =>
        {
            g.Initializers.Add("w", Tensor.From<float>("w", new float[10], 5, 2));
            g.Nodes.Add(new Node("MatMul", "", ["x", "w"], ["y"], "product"));
        });
        Outside();
        LiftRun.Here("prepare", good["model.onnx"], "-o", good["prepared"]).Good();
        Directory.CreateDirectory(good["cut"]);
        foreach (string file in Directory.GetFiles(good["prepared"])) File.Copy(file, Path.Combine(good["cut"], Path.GetFileName(file)));
        byte[] checkpoint = File.ReadAllBytes(Path.Combine(good["cut"], "checkpoint"));
        File.WriteAllBytes(Path.Combine(good["cut"], "checkpoint"), checkpoint[..(checkpoint.Length / 2)]);
        File.WriteAllText(good["batch.json"], """{"input_ids": {"dtype": "int64", "shape": [1, 2], "data": [1, 2]}, "labels": {"dtype": "int64", "shape": [1, 2], "data": [1, 2]}}""");
        File.WriteAllText(good["far.json"], """{"input_ids": {"dtype": "int64", "shape": [1, 2], "data": [1, 999]}, "labels": {"dtype": "int64", "shape": [1, 2], "data": [1, 2]}}""");
        File.WriteAllText(good["rows.jsonl"], """{"input_ids": [1, 2, 3]}""");
        LiftRun.Here("train", good["prepared"], "--data", good["rows.jsonl"], "-o", good["ran"], "--steps", "1", "--quiet").Good();
        File.Copy(TestFiles.Shared("models/mlp/model.onnx"), good["mlp.onnx"]);
        LiftRun.Here("prepare", good["mlp.onnx"], "-o", good["mlp"], "--loss", "cross-entropy", "--train", "*").Good();
        File.WriteAllText(good["narrow.jsonl"], """{"x": [1, 2], "label": 0}""");
        File.WriteAllText(good["beyond.jsonl"], """{"input_ids": [1, 2, 3], "labels": [1, 999, 3]}""");
        File.WriteAllText(good["nothing.jsonl"], "");
        File.WriteAllBytes(good["latin.jsonl"], Encoding.Latin1.GetBytes("{\"text\": \"caf\u00e9\"}\n"));
    }

    [ClassCleanup]
    public static void Clean() => good.Dispose();

    [TestMethod, DynamicData(nameof(Cases))]
    public void Gives_one_sentence_and_leaves_all_files(string what, string line, string word)
    {
        var before = Snapshot(good.Path);
        string sentence = LiftRun.Program(Arguments(line)).Refused();
        StringAssert.Contains(sentence, word, what);
        CollectionAssert.AreEqual(before, Snapshot(good.Path), $"{what}: files changed");
    }

    [TestMethod]
    [DataRow("prepare model.onnx -o DISK/prepared")]
    [DataRow("new --preset stories260k -o DISK/existing")]
    [DataRow("select model.onnx --density 1 -o DISK/existing")]
    [DataRow("gradients prepared --inputs batch.json -o DISK/existing")]
    [DataRow("train prepared --data rows.jsonl --tokenizer none -o DISK/run --steps 1 --selection full --quiet")]
    public void Full_disk(string line)
    {
        using SmallDisk disk = SmallDisk.Mount(readOnly: false);
        var before = Snapshot(disk.Path);
        string sentence = LiftRun.Program(Arguments(line.Replace("DISK", disk.Path))).Refused();
        StringAssert.Contains(sentence, "space");
        CollectionAssert.IsSubsetOf(before, Snapshot(disk.Path), "what was there is still there");
    }

    [TestMethod]
    [DataRow("prepare model.onnx -o DISK/prepared")]
    [DataRow("new -o DISK/existing")]
    [DataRow("select model.onnx -o DISK/existing")]
    [DataRow("gradients prepared --inputs batch.json -o DISK/existing")]
    [DataRow("train prepared --data rows.jsonl --tokenizer none -o DISK/run --steps 1")]
    public void Read_only_output(string line)
    {
        using SmallDisk disk = SmallDisk.Mount(readOnly: true);
        var before = Snapshot(disk.Path);
        StringAssert.Contains(LiftRun.Program(Arguments(line.Replace("DISK", disk.Path))).Refused(), disk.Path);
        CollectionAssert.AreEqual(before, Snapshot(disk.Path));
    }

    private static string[] Arguments(string line) => [.. line.Split(' ').Select((word, i) =>
        i > 0 && !word.StartsWith('-') && !word.StartsWith('/') && word is not ("none" or "full" or "stories260k" or "exact-match" or "bytes") && !char.IsDigit(word[0]) ? good[word] : word)];

    /// <summary>Every file with the hash of its bytes.</summary>
    private static string[] Snapshot(string folder) => [.. Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
        .Select(f => $"{f} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(f)))}")];

    /// <summary>A model x [n, 4] to y with the node that <paramref name="change"/> adds.</summary>
    private static void Write(string name, Action<Graph> change)
    {
        var graph = new Graph();
        graph.Inputs.Add(new("x", new(ElementType.Float, new("n", 4))));
        graph.Outputs.Add(new("y", new(ElementType.Float, null)));
        change(graph);
        OnnxFile.Write(graph, good[name]);
    }

    /// <summary>A model whose weight claims to lie two folders up.</summary>
    private static void Outside()
    {
        var model = new ModelProto { IrVersion = 8, Graph = new() { Name = "g" } };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
        var weight = new TensorProto { Name = "outside_weight", DataType = 1, DataLocation = TensorProto.Types.DataLocation.External };
        weight.Dims.Add(4);
        weight.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = "../../outside.bin" });
        model.Graph.Initializer.Add(weight);
        model.Graph.Node.Add(new NodeProto { OpType = "Identity", Input = { "outside_weight" }, Output = { "y" } });
        model.Graph.Output.Add(new ValueInfoProto { Name = "y" });
        File.WriteAllBytes(good["outside.onnx"], Google.Protobuf.MessageExtensions.ToByteArray(model));
    }
}
