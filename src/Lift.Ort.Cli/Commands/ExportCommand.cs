using System.CommandLine;
using Lift.Ort.Sparse;
using Lift.Ort.Training;
using Spectre.Console;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift export</c>: a run becomes an ordinary model.</summary>
internal sealed class ExportCommand : LiftCommand
{
    private readonly Argument<string> run = new("RUN") { Description = "The folder of a run that `lift train` wrote." };
    private readonly Option<string> model = Choices.Out("The fine-tuned ONNX model to write: the original's graph, inputs and outputs, other weights untouched to the byte.");
    private readonly Option<string?> patch = new("--patch") { Description = "Also write what changed, positions and values per weight (safetensors).", HelpName = "FILE" };
    private readonly Option<bool> inference = new("--inference") { Description = "Write BatchNormalization and Dropout in inference form, where the original was exported in training form." };
    private readonly Option<string?> source = new("--base") { Description = "The original model, where it moved since `lift prepare`.", HelpName = "MODEL" };

    public ExportCommand() : base("export", "Writes the fine-tuned model of a run, and, if wanted, the sparse patch that makes it out of the original.",
        "lift export run -o fine-tuned.onnx --patch patch.safetensors")
    {
        Add(run);
        foreach (Option option in new Option[] { model, patch, inference, source }) Add(option);
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        string path = line.GetValue(model)!;
        SparsePatch changed = RunExport.Write(line.GetValue(run)!, path, line.GetValue(patch), line.GetValue(source), line.GetValue(inference));
        output.Result(
            new { model = path, patch = line.GetValue(patch), weights = changed.Entries.Count, changed = changed.Length },
            console => console.WriteLine($"{path}: {changed.Length:N0} entries of {changed.Entries.Count} weights differ from the original."));
    }
}
