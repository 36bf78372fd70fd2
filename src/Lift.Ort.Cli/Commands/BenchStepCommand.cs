using System.CommandLine;
using Lift.Ort.Architectures;
using Lift.Ort.Artifacts;
using Lift.Ort.Cli.Bench;
using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift bench step</c>: a whole training step.</summary>
internal sealed class BenchStepCommand : BenchMeasurement
{
    private readonly BenchModel model;
    private readonly SelectionChoices choices;
    private readonly Option<int> batch = Choices.Count("--batch", "Rows of a micro-batch.", 4);
    private readonly Option<int> length = Choices.Count("--seq", "Tokens of a row.", 128);
    private readonly Option<int> accumulate = Choices.Count("--accumulate", "Micro-batches of a step.", 1);
    private readonly Option<double> rate = new("--lr") { Description = "Learning rate.", DefaultValueFactory = _ => 1e-4, HelpName = "LR" };
    private readonly Option<Recompute> recompute = Choices.Word("--recompute", "What the backward pass computes again: none, attention or layers.", Recompute.None);
    private readonly Option<bool> graphs = Choices.Graphs();
    private readonly Option<string[]> without = new("--without") { Description = "Fusions that are left out, to compare with: " + string.Join(", ", TrainingSessionOptions.FusionKinds) + ".", AllowMultipleArgumentsPerToken = true, HelpName = "FUSION" };
    private readonly Option<string[]> methods = new("--method") { Description = "lift: the chosen entries of the linear layers; full: every weight.", DefaultValueFactory = _ => ["lift"], AllowMultipleArgumentsPerToken = true, HelpName = "lift|full" };

    public BenchStepCommand() : base("step", "A training step of a Llama: forward, loss, backward, optimizer. Memory is the process's peak during the measurement.",
        "lift bench step --preset 25m --batch 4 --seq 128 --density 0.05 --method lift full")
    {
        Choices.Only(methods, "lift", "full");
        Choices.Only(without, [.. TrainingSessionOptions.FusionKinds]);
        model = new BenchModel(this);
        choices = new SelectionChoices(this, Seed, "random");
        foreach (Option option in new Option[] { batch, length, accumulate, rate, recompute, graphs, without, methods }) Add(option);
    }

    protected override CudaOptions CudaOf(ParseResult line) => base.CudaOf(line) with { Graphs = line.GetValue(graphs) };

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        foreach (string method in line.GetValue(methods)!)
        {
            string folder = Directory.CreateTempSubdirectory("lift-bench-").FullName;
            try
            {
                Prepare(line, method, folder);
                Machine.ForgetPeakMemory();
                Measure(line, output, method, folder);
            }
            finally
            {
                Directory.Delete(folder, true);
            }
        }
    }

    /// <summary>Random weights and artifacts on disk; nothing of it stays in memory.</summary>
    private void Prepare(ParseResult line, string method, string folder)
    {
        string path = Path.Combine(folder, "model.onnx");
        NewModel.WriteLlama(path, model.Shape(line), model.Type(line), line.GetValue(Seed));
        TrainingGraph graph = TrainingGraph.Build(OnnxFile.Read(path), new() { Loss = "cross-entropy", Train = method == "full" ? ["*"] : [] });
        ArtifactFolder.Create(graph, path, Path.Combine(folder, "artifacts"));
    }

    private void Measure(ParseResult line, Output output, string method, string folder)
    {
        LlamaShape shape = model.Shape(line);
        using IDevice open = OpenDevice(line);
        DeviceMemory before = open.Memory;
        using TrainingSession session = TrainingSession.Open(ArtifactFolder.Open(Path.Combine(folder, "artifacts")), open, new() { Recompute = line.GetValue(recompute), FusionsLeftOut = line.GetValue(without) ?? [] });
        Tensor[] weights = [.. session.Weights.Select(w => w.Value)];
        SelectionOptions options = choices.Read(line);
        using (var selector = new MaskSelector(method == "full" ? options with { Selection = "full" } : options, open))
        {
            var masks = selector.Select(weights).Masks;
            session.SetMasks(masks.ToDictionary(m => m.Weight, m => m.Positions));
            using var optimizer = new Optimizer(open, weights);
            optimizer.SetMasks(masks);
            var batches = Batches(line, shape.Vocab);
            var losses = new List<float>();
            Times times = PatienceOf(line).Time(() =>
            {
                losses.Add(session.Step(batches));
                optimizer.Step(session.Gradients, line.GetValue(rate));
                open.Synchronize();
            });
            long trained = optimizer.Moments.Length, positions = masks.Sum(m => m.Positions?.Length ?? 0L), tokens = (long)line.GetValue(batch) * line.GetValue(length) * line.GetValue(accumulate);
            Report(line, output, "step", new { method }, model.Fields(line),
                new { batch = line.GetValue(batch), seq = line.GetValue(length), accumulate = line.GetValue(accumulate), recompute = line.GetValue(recompute).ToString().ToLowerInvariant(), without = line.GetValue(without) ?? [] },
                method == "lift" ? SelectionChoices.Fields(options) : new { },
                new { trained, state_bytes = 12 * trained + (line.GetValue(graphs) ? 8 : 4) * positions + 4 * (optimizer.Moments.Master?.Length ?? 0) }, times,
                new Dictionary<string, double> { ["tokens_per_s"] = tokens / times.MedianS, ["tflops"] = Operations(shape, method, tokens, line.GetValue(length)) / times.MedianS / 1e12 },
                line.GetValue(graphs) ? new { cuda_graphs = new { shapes = session.Recording.Shapes, why_not = session.Recording.WhyNot } } : new { },
                Memory(open, before), new { first_loss = losses[0], last_loss = losses[^1] });
        }
    }

    /// <summary>A GPU's memory is what it has taken since it was opened: ONNX Runtime's arena keeps its peak.</summary>
    private static object Memory(IDevice device, DeviceMemory before) => device.Memory.Total > 0
        ? new { peak_memory_bytes = device.Memory.Used - before.Used, memory_kind = "device, taken since it was opened", process_peak_bytes = Machine.PeakMemory() }
        : new { peak_memory_bytes = Machine.PeakMemory(), memory_kind = "process, peak resident while measured" };

    /// <summary>Uniform token ids; every position has a label, the next id.</summary>
    private IReadOnlyList<(IReadOnlyDictionary<string, Tensor> Batch, double Weight)> Batches(ParseResult line, int vocabulary)
    {
        int rows = line.GetValue(batch), tokens = line.GetValue(length);
        var random = new Random(line.GetValue(Seed) + 2);
        return [.. Enumerable.Range(0, line.GetValue(accumulate)).Select(_ =>
        {
            long[] ids = new long[rows * tokens], labels = new long[rows * tokens];
            for (int i = 0; i < ids.Length; i++) ids[i] = random.Next(vocabulary);
            for (int i = 0; i < ids.Length; i++) labels[i] = (i + 1) % tokens != 0 ? ids[i + 1] : random.Next(vocabulary);
            IReadOnlyDictionary<string, Tensor> values = new Dictionary<string, Tensor>
            {
                ["input_ids"] = Tensor.From<long>("input_ids", ids, rows, tokens),
                ["labels"] = Tensor.From<long>("labels", labels, rows, tokens),
            };
            return (values, 1.0);
        })];
    }

    /// <summary>Arithmetic that the mathematics needs: causal attention counts half, the optimizer nothing.</summary>
    private static double Operations(LlamaShape shape, string method, long tokens, int length)
    {
        double head = (double)shape.Vocab * shape.Width, attention = (double)shape.Layers * length * shape.Width;
        return 2.0 * tokens * (3.0 * shape.LinearWeights + (method == "full" ? 3 : 2) * head + 3 * attention);
    }
}
