using System.CommandLine;
using System.Globalization;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;
using Spectre.Console;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift select</c>: which entries LIFT would train.</summary>
internal sealed class SelectCommand : LiftCommand
{
    private readonly Argument<string> model = new("MODEL or DIR") { Description = "An ONNX file, or a folder that `lift prepare` made." };
    private readonly Option<string> result = Choices.Out("The safetensors file to write: sorted int64 positions, row-major over the stored weight, under each weight's name.");
    private readonly Option<string?> scored = new("--output") { Description = "The output that is scored, which tells head from layers (MODEL only).", HelpName = "NAME" };
    private readonly Option<string[]> train = Choices.Patterns("--train", "Weights or layers to look at, patterns with * and ? (MODEL only). Default: the linear layers of attention and MLP.");
    private readonly Option<string[]> freeze = Choices.Patterns("--freeze", "Weights or layers to leave out (MODEL only).");
    private readonly Option<string> device = Choices.Device();
    private readonly Option<int> seed = Choices.Seed();
    private readonly SelectionChoices choices;

    public SelectCommand() : base("select", "Chooses the entries of each weight that fine-tuning would change, and writes their positions.",
        "lift select model.onnx --selection lift --filter-rank 64 --density 0.05 -o positions.safetensors")
    {
        Add(model);
        choices = new SelectionChoices(this, seed);
        foreach (Option option in new Option[] { result, scored, train, freeze, seed, device }) Add(option);
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        SelectionOptions options = choices.Read(line);
        string file = OutputPath.Apart(line.GetValue(result)!, line.GetValue(model));
        Tensor[] weights = Weights(line);
        using IDevice open = Ort.Devices.Device.Open(line.GetValue(device)!);
        using var selector = new MaskSelector(options, open);
        Refresh refresh = selector.Select([.. weights.Select(open.Place)]);
        Safetensors.Write(file, [.. refresh.Masks.Select(Positions)], new Dictionary<string, string>
        {
            ["selection"] = options.Selection,
            ["budget"] = options.Budget.ToString(),
            ["filter_rank"] = options.FilterRank.ToString(CultureInfo.InvariantCulture),
            ["seed"] = options.Seed.ToString(CultureInfo.InvariantCulture),
        });
        RefreshReport total = refresh.Total;
        if (options.Unreduced([.. weights.Select(w => w.Dims)]) is { } idle) output.Note(idle);
        output.Result(
            new { file, selection = options.Selection, weights = weights.Length, selected = total.K, bound = total.Bound, seconds = total.Seconds },
            console => console.WriteLine(FormattableString.Invariant(
                $"{file}: {total.K:N0} entries of {weights.Length} weights in {total.Seconds:F2} s; relative error of the approximation at most {total.Bound:G2}.")));
    }

    private Tensor[] Weights(ParseResult line)
    {
        string path = line.GetValue(model)!;
        if (!Directory.Exists(path))
        {
            Graph graph = OnnxFile.Read(path);
            string output = TrainingGraph.ScoredOutput(graph, line.GetValue(scored));
            return [.. TrainingGraph.Choose(graph, output, new() { Train = line.GetValue(train) ?? [], Freeze = line.GetValue(freeze) ?? [] }).Select(w => w.Value)];
        }
        if (line.GetResult(train) is { Implicit: false } || line.GetResult(freeze) is { Implicit: false } || line.GetValue(scored) is not null)
            throw new LiftException($"'{path}' is a prepared folder, whose trained weights are fixed; leave --train, --freeze and --output out, or give the model's file.");
        ArtifactFolder folder = ArtifactFolder.Open(path);
        return [.. folder.Record.Weights.Select(w => folder.Parameters[w.Name])];
    }

    private static Tensor Positions(Mask mask) => Tensor.From<long>(mask.Weight, Array.ConvertAll(mask.ToPositions(), p => (long)p), mask.Length);
}
