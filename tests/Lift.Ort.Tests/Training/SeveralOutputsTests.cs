using System.Text.Json.Nodes;
using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Cli;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

/// <summary>Losses over two outputs and sums of losses, by the commands, against PyTorch's steps (numbers of tools/reference/outputs).</summary>
[TestClass]
public sealed class SeveralOutputsTests
{
    private static readonly string[] how = ["--no-shuffle", "--batch", "4", "--steps", "3", "--selection", "full", "--lr", "0.02", "--schedule", "constant", "--warmup", "0", "--form", "torch", "--clip", "0", "--weight-decay", "0", "--json"];

    private static readonly string[] threeLosses = ["--loss", "cross-entropy:logits_kind", "--loss", "mse:price*0.5", "--loss", "bce:logits_tags=tags*2"];

    private static string Stored(string file) => Path.Combine(TestFiles.Root, "tests", "Lift.Ort.Tests", "Training", "outputs", file);

    private static string Model(string name) => Stored(name == "tasks" ? "tasks.onnx" : "clip.onnx");

    private static string Rows(string name) => Stored(name == "tasks" ? "tasks.jsonl" : "clip.jsonl");

    public static IEnumerable<object[]> Cases =>
    [
        ["matching", new[] { "--loss", "matching" }],
        ["scaled", new[] { "--loss", "contrastive", "--scale", "scale" }],
        ["scaled", new[] { "--loss", "contrastive:image_embeds,text_embeds", "--scale", "scale", "--normalize", "false" }],
        ["temperature", new[] { "--loss", "contrastive:image_embeds,text_embeds", "--temperature", "0.2" }],
        ["one way", new[] { "--loss", "contrastive:image_embeds,text_embeds", "--temperature", "0.2", "--symmetric", "false" }],
        ["tasks", threeLosses],
    ];

    [TestMethod, DynamicData(nameof(Cases))]
    public void Steps_are_those_of_PyTorch(string name, string[] losses)
    {
        using TempFolder temp = TestFiles.Temp();
        JsonNode recorded = JsonNode.Parse(File.ReadAllText(Stored("steps.json")))![name]!;
        LiftRun.Here(["prepare", Model(name), "-o", temp["prepared"], "--train", "*", .. losses]).Good();
        JsonObject result = LiftRun.Here(["train", temp["prepared"], "--data", Rows(name), "--validation", Rows(name), "-o", temp["run"], .. how]).Good().Json;
        StepDone[] done = [.. RunLog.Read(Path.Combine(temp["run"], RunFolder.LogName)).OfType<StepDone>()];
        foreach (var (wanted, step) in recorded["losses"]!.AsArray().Zip(done)) Assert.AreEqual((double)wanted!, step.Loss, 2e-5 * Math.Max(1, (double)wanted!), $"step {step.Step}");

        LiftRun.Here("export", temp["run"], "-o", temp["tuned.onnx"]).Good();
        JsonObject judged = LiftRun.Here("evaluate", temp["tuned.onnx"], "--data", Rows(name), "--run", temp["run"], "--batch", "4").Good().Json;
        foreach (var (metric, value) in result["metrics"]!.AsObject()) Assert.AreEqual((double)value!, (double)judged[metric]!, 1e-5, metric);
        Assert.AreEqual((double)result["validation_loss"]!, (double)judged["loss"]!, 1e-5);
        CollectionAssert.AreEqual(OnnxFile.Read(Model(name)).Outputs.Select(o => o.Name).ToArray(), OnnxFile.Read(temp["tuned.onnx"]).Outputs.Select(o => o.Name).ToArray());
    }

    /// <summary>The folder trains in ONNX Runtime's own training runtime as it does here.</summary>
    [TestMethod]
    [DataRow("tasks", "cross-entropy:logits_kind=kind", "mse:price*0.5")]
    [DataRow("clip", "contrastive", "")]
    public void The_training_runtime_has_the_same_losses(string name, string first, string second)
    {
        using TempFolder temp = TestFiles.Temp();
        LossTerm[] terms = [.. new[] { first, second }.Where(t => t.Length > 0).Select(t => LossTerm.Parse(t, new() { Scale = name == "clip" ? "scale" : null }))];
        ArtifactFolder folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(Model(name)), new() { Train = ["*"], Terms = terms }), Model(name), temp["prepared"]);
        using var session = TrainingSession.Open(folder, TinyRun.Device);
        DataOptions rows = new DataOptions { Batch = 4, Shuffle = false }.For(folder.Record.AllTerms);
        rows = DataFit.Of(Rows(name), session.Inputs, rows, ModelNotes.Beside(null));
        Dictionary<string, Tensor>[] batches = [.. BatchReader.Open(Rows(name), null, session.Inputs, rows).Epoch().Take(2).Select(b => b.Values.ToDictionary())];
        System.Text.Json.JsonElement theirs = Artifacts.TrainingRuntime.Train(folder, batches);
        var adam = new Sessions.PlainAdamW(session, 0.001);
        foreach (var (batch, loss) in batches.Zip(theirs.GetProperty("losses").EnumerateArray()))
        {
            Assert.AreEqual(session.Step(batch), loss.GetDouble(), 2e-5);
            adam.Step();
        }
    }

    [TestMethod]
    public void Every_loss_has_its_own_numbers_and_class_names()
    {
        using TempFolder temp = TestFiles.Temp();
        LiftRun prepared = LiftRun.Here(["prepare", Model("tasks"), "-o", temp["prepared"], "--train", "*", .. threeLosses, "--json"]).Good();
        Assert.AreEqual("labels_logits_tags", (string)prepared.Json["losses"]![2]!["labels"]!);
        JsonObject folder = LiftRun.Here("inspect", temp["prepared"], "--json").Good().Json;
        Assert.AreEqual(0.5, (double)folder["losses"]![1]!["weight"]!);
        StringAssert.Contains(LiftRun.Here("inspect", temp["prepared"]).Good().Error.ReplaceLineEndings(" "), "0.5 · mse over 'price'");
        LiftRun train = LiftRun.Here(["train", temp["prepared"], "--data", Rows("tasks"), "--validation", Rows("tasks"), "-o", temp["run"], .. how]).Good();
        StringAssert.Contains(train.Error, "Classes of 'logits_kind': 0 cat, 1 dog, 2 emu");
        JsonObject metrics = train.Json["metrics"]!.AsObject();
        CollectionAssert.IsSubsetOf(new[] { "logits_kind.loss", "logits_kind.accuracy", "price.loss", "price.mse", "logits_tags.loss", "logits_tags.f1" }, metrics.Select(m => m.Key).ToArray());
        double sum = (double)metrics["logits_kind.loss"]! + (0.5 * (double)metrics["price.loss"]!) + (2 * (double)metrics["logits_tags.loss"]!);
        Assert.AreEqual(sum, (double)train.Json["validation_loss"]!, 1e-6);
        Assert.AreEqual((double)metrics["price.loss"]!, (double)metrics["price.mse"]!, 1e-6);
        LiftRun quiet = LiftRun.Here("evaluate", Model("tasks"), "--data", Rows("tasks"), "--run", temp["run"], "--quiet").Good();
        Assert.AreEqual("cross-entropy + mse + bce", (string)quiet.Json["kind"]!);
    }

    [TestMethod]
    public void One_loss_is_judged_alike_in_the_graph_and_outside()
    {
        using TempFolder temp = TestFiles.Temp();
        File.WriteAllLines(temp["rows.jsonl"], ["""{"x":[1,2,-1,0,0.5,1],"tags":[0,-100,1,1]}""", """{"x":[0,1,-1,2,0.5,0],"tags":[-100,-100,-100,-100]}""", """{"x":[0,1,1,1,-0.5,0],"tags":[1,1,1,-100]}"""]);
        JsonObject Judged(params string[] how) => LiftRun.Here(["evaluate", Model("tasks"), "--data", temp["rows.jsonl"], "--batch", "2", .. how]).Good().Json;
        JsonObject graph = Judged("--loss", "bce:logits_tags=tags"), outside = Judged("--loss", "bce", "--output", "logits_tags", "--label-field", "tags");
        foreach (string name in new[] { "loss", "accuracy", "f1" }) Assert.AreEqual((double)outside[name]!, (double)graph[name]!, 1e-6, name);
    }

    [TestMethod]
    public void From_code()
    {
        var graph = TrainingGraph.Build(OnnxFile.Read(Model("tasks")), new()
        {
            Train = ["*"],
            Terms = [new("cross-entropy") { Outputs = ["logits_kind"], Field = "kind" }, new("huber") { Outputs = ["price"], Weight = 0.1, Options = new() { Delta = 2 } }],
        });
        CollectionAssert.AreEqual(new[] { "loss", "logits_kind", "price", "loss_logits_kind", "loss_price" }, graph.Forward.Outputs.Select(o => o.Name).ToArray());
        CollectionAssert.AreEqual(new[] { "x", "labels_logits_kind", "labels_price" }, graph.Forward.Inputs.Select(o => o.Name).ToArray());
        Assert.IsFalse(graph.Trainable.Any(w => w.Name.StartsWith("tags")), "no loss reads that head");
    }

    [TestMethod]
    [DataRow("tasks", "mse:price,logits_kind", "scores 1 output, but 2 are named")]
    [DataRow("tasks", "mse:prices", "no output 'prices'")]
    [DataRow("tasks", "mse:price*0", "weighs '0'")]
    [DataRow("tasks", "mse:", "write NAME")]
    [DataRow("tasks", "detr:boxes", "object detection matches the model's answers with the boxes of an image before it scores them")]
    [DataRow("tasks", "mse:price --loss contrastive:logits_kind", "cannot stand beside another loss")]
    [DataRow("tasks", "mse:price --output logits_kind", "names one output for all losses")]
    [DataRow("tasks", "mse:price --label-smoothing 0.1", "None of the losses mse reads --label-smoothing")]
    [DataRow("clip", "contrastive:image_embeds,scale", "[batch, width]")]
    [DataRow("clip", "contrastive --scale nothing", "no value of the model")]
    [DataRow("clip", "matching:image_embeds", "")]
    public void What_does_not_fit_is_refused(string model, string losses, string said)
    {
        using TempFolder temp = TestFiles.Temp();
        LiftRun run = LiftRun.Here(["prepare", Model(model), "-o", temp["prepared"], "--train", "*", "--loss", .. losses.Split(' ')]);
        if (said.Length > 0) StringAssert.Contains(run.Refused(), said);
        else run.Good(); // the file leaves both axes open; the batch then tells
    }

    [TestMethod]
    [DataRow("cross-entropy", "'logits' float[batch, 16, 5] is an answer per query of an object detector ('pred_boxes' holds its boxes)")]
    [DataRow("mse:pred_boxes", "'pred_boxes'")]
    [DataRow("cross-entropy:whole", "")]
    public void Heads_of_object_detectors_are_refused(string loss, string said)
    {
        var graph = new Graph { Inputs = { new("x", new(ElementType.Float, new("batch", 16, 4))) } };
        ShapeInference.InferInputs(graph);
        foreach (var (name, width) in new[] { ("logits", 5), ("pred_boxes", 4) })
            graph.Add("MatMul", [graph.Var("x"), graph.Constant<float>(new float[4 * width], [4, width], $"{name}.weight")], output: name);
        graph.Add("ReduceMean", [graph.Var("logits")], n => n.With("axes", [1L]).With("keepdims", 0L), output: "whole");
        foreach (string name in new[] { "logits", "pred_boxes", "whole" }) graph.Outputs.Add(new(name, graph.TypeOf(name)));
        TrainingGraphOptions options = new() { Train = ["*"], Terms = [LossTerm.Parse(loss, new())] };
        if (said.Length == 0) Assert.HasCount(2, TrainingGraph.Build(graph, options).Forward.Outputs);
        else Assert.Contains(said, Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(graph, options)).Message);
    }

    [TestMethod]
    [DataRow("""{"x":[1,2,3,4,5,6],"kind":1,"price":1}""", "no field 'tags'", "line 1")]
    [DataRow("""{"x":[1,2,3,4,5,6],"kind":7,"price":1,"tags":[0,0,0,1]}""", "label 7 in field 'kind' is out of range", "line 1")]
    [DataRow("""{"x":[1,2,3,4,5,6],"price":1,"tags":[0,0,0,1]}""", "no label for the output 'logits_kind'", "line 1")]
    [DataRow("""{"x":[1,2,3,4,5,6],"kind":1,"price":"much","tags":[0,0,0,1]}""", "field 'price' holds a text (\"much\") where a number is expected", "line 1")]
    [DataRow("""{"x":[1,2,3,4,5,6],"kind":1,"price":1,"tags":[0,0,3,1]}""", "label 3 in field 'tags' lies outside 0 to 1", "line 1")]
    [DataRow("""{"x":[1,2,3],"kind":1,"price":1,"tags":[0,0,0,1]}""", "'x'", "Row 1")]
    public void Rows_that_do_not_fit_are_refused(string row, string said, string where)
    {
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(Model("tasks")), new() { Train = ["*"], Terms = LossTerm.ParseAll(threeLosses.Where(l => l != "--loss"), new()) }), Model("tasks"), temp["prepared"]);
        File.WriteAllLines(temp["rows.jsonl"], [row]);
        string refused = LiftRun.Here(["train", temp["prepared"], "--data", temp["rows.jsonl"], "-o", temp["run"], .. how]).Refused();
        StringAssert.Contains(refused, said);
        StringAssert.Contains(refused, where);
    }
}
