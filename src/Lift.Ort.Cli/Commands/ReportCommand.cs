using System.CommandLine;
using Lift.Ort.Training;
using Spectre.Console;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift report</c>: a picture of runs.</summary>
internal sealed class ReportCommand : LiftCommand
{
    private readonly Argument<string[]> runs = new("RUN") { Description = "Folders that 'lift train' wrote, drawn side by side.", Arity = ArgumentArity.OneOrMore };
    private readonly Option<string> page = Choices.Out("The file to write: loss curves for .svg; for .html also a table, learning rates and mask overlaps.");

    public ReportCommand() : base("report", "Draws the loss curves of runs from their logs.", "lift report artifacts/run artifacts/other -o runs.html")
    {
        Add(runs);
        Add(page);
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        string path = Path.GetFullPath(OutputPath.Apart(line.GetValue(page)!, line.GetValue(runs)!));
        RunReport.Write(path, line.GetValue(runs)!);
        output.Result(new { report = path, runs = line.GetValue(runs)!.Length }, console => console.WriteLine($"{path} shows {line.GetValue(runs)!.Length} runs."));
    }
}
