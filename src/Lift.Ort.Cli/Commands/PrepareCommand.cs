using System.CommandLine;
using Lift.Ort.Artifacts;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Spectre.Console;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift prepare</c>: a model becomes training artifacts.</summary>
internal sealed class PrepareCommand : LiftCommand
{
    private readonly Argument<string> model = new("MODEL") { Description = "The exported ONNX file." };
    private readonly Option<string> folder = Choices.Out("The folder to write.");
    private readonly LossChoices loss = new("causal-lm", "What training makes small.");
    private readonly Option<string[]> train = Choices.Patterns("--train", "Weights or layers to train, patterns with * and ?; '*' trains everything. Default: the linear layers of attention and MLP.");
    private readonly Option<string[]> dequantize = Choices.Patterns("--dequantize", "Quantized layers that become float layers, so that they can be trained; the exported model holds them as float. MatMulNBits, MatMulBnb4, GatherBlockQuantized, DequantizeLinear, QLinear, integer and dynamic forms, in branches of If too; activations stay 8-bit where they were. Patterns with * and ?.");
    private readonly Option<BatchNormForm> batchNorm = Choices.Word("--batch-norm", "Statistics of BatchNormalization in training: batch (the running ones are renewed), frozen, or file: batch where the file has the training form.", BatchNormForm.File);
    private readonly Option<string[]> freeze = Choices.Patterns("--freeze", "Weights or layers that stay as they are; wins over --train.");

    private readonly Option<Dictionary<string, long>> dims = Choices.Dims();

    public PrepareCommand() : base("prepare", "Turns an exported ONNX model into training artifacts: training, evaluation and optimizer model, and a checkpoint.",
        "lift prepare model.onnx -o prepared --loss causal-lm")
    {
        foreach (Option option in (Option[])[folder, train, freeze, dequantize, dims, batchNorm, .. loss.All]) Add(option);
        Add(model);
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        string path = line.GetValue(model)!, directory = line.GetValue(folder)!;
        ModelFile = path;
        var graph = TrainingGraph.Build(OnnxFile.Read(path), new()
        {
            Loss = loss.Loss(line)!,
            LossOptions = loss.Options(line),
            Output = loss.Output(line),
            Terms = loss.Terms(line),
            Train = line.GetValue(train) ?? [],
            Freeze = line.GetValue(freeze) ?? [],
            BatchNorm = line.GetValue(batchNorm),
            Dims = line.GetValue(dims) ?? [],
            Dequantize = line.GetValue(dequantize) ?? [],
        });
        ArtifactFolder made = ArtifactFolder.Create(graph, path, directory);
        long entries = made.Record.Weights.Sum(w => w.Dims.Aggregate(1L, (n, d) => n * d));
        output.Result(
            new { folder = made.Directory, loss = made.Record.Loss, scored = made.Record.Scored, losses = made.Record.AllTerms.Select(t => new { loss = t.Loss, outputs = t.Outputs, labels = t.Labels, field = t.Field, weight = t.Weight }), inputs = made.Record.Inputs, trainable = made.Record.Weights.Count, entries, statistics = made.Record.Statistics?.Count ?? 0, storage = made.Record.Storage.ToString().ToLowerInvariant() },
            console => console.WriteLine($"{directory}: {made.Record.Weights.Count} trainable weights with {entries:N0} entries, loss {string.Join(" + ", made.Record.AllTerms)}{(made.Record.Statistics is { Count: var n } ? $"; {n} running statistics are renewed" : "")}."));
    }
}
