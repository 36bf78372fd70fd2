using System.CommandLine;
using Lift.Ort.Architectures;
using Lift.Ort.Cli.Bench;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift bench refresh</c>: choosing the weights to train.</summary>
internal sealed class BenchRefreshCommand : BenchMeasurement
{
    private readonly BenchModel model;
    private readonly SelectionChoices choices;
    private readonly Option<string?> shapes = new("--shapes") { Description = "Matrices such as 1024x1024,2048x2048 instead of a preset's.", HelpName = "MxN,…" };
    private readonly Option<string> spectrum = Choices.OneOf("--spectrum", "flat: N(0, 0.02); decay: singular values that fall like 1 / (1 + i / 32).", "flat", "flat", "decay");
    private readonly Option<string[]> methods = new("--method") { Description = "exact, cold, warm (after every selected entry moved by 5 % of the weights' standard deviation).", DefaultValueFactory = _ => ["cold"], AllowMultipleArgumentsPerToken = true, HelpName = "exact|cold|warm" };

    public BenchRefreshCommand() : base("refresh", "Choosing the weights to train: rank reduction, reconstruction, top-k; overlaps compare with the exact mask where exact is measured too.",
        "lift bench refresh --shapes 2048x2048 --spectrum decay --filter-rank 128 --method exact cold warm --repeats 3")
    {
        Choices.Only(methods, "exact", "cold", "warm");
        model = new BenchModel(this);
        choices = new SelectionChoices(this, Seed);
        foreach (Option option in new Option[] { shapes, spectrum, methods }) Add(option);
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        using IDevice open = OpenDevice(line);
        SelectionOptions options = choices.Read(line);
        var totals = new OrderedDictionary<string, double>();
        foreach (var (m, n, count) in Matrices(line))
        {
            Tensor weight = RandomMatrix.Make(m, n, line.GetValue(spectrum) == "decay", line.GetValue(Seed));
            Mask? exact = null, moved = null;
            foreach (string method in line.GetValue(methods)!.OrderBy(x => Array.IndexOf(["exact", "cold", "warm"], x)))
            {
                // Of a warm refresh the exact answer is that of the moved weights.
                Tensor after = method == "warm" ? RandomMatrix.Moved(weight, Select(options, open, weight).Masks[0], line.GetValue(Seed) + 1) : weight;
                if (method == "warm" && exact is not null) moved = Select(options with { LowRank = new() { Exact = true } }, open, after).Masks[0];
                var (times, refresh) = Measure(line, options, open, method, weight, after);
                Mask mask = refresh.Masks[0];
                if (method == "exact") exact = mask;
                Mask? truth = method == "exact" ? null : method == "warm" ? moved : exact;
                Report(line, output, "refresh", new { method, spectrum = line.GetValue(spectrum), shape = new[] { m, n }, count, selected = mask.Length }, SelectionChoices.Fields(options), times,
                    new
                    {
                        overlap_with_exact = truth is null ? (double?)null : mask.Common(truth) / (double)mask.Length,
                        jaccard_with_exact = truth is null ? (double?)null : mask.Overlap(truth),
                        bound = refresh.Total.Bound,
                        outers = refresh.Total.Outers,
                        peak_memory_bytes = Machine.PeakMemory(),
                    });
                totals[method] = totals.GetValueOrDefault(method) + count * times.MedianS;
            }
        }
        foreach (var (method, total) in totals)
            Report(line, output, "refresh-total", new { method, preset = line.GetValue(shapes) is null ? model.Fields(line) : null, total_s = total, note = "the median of each distinct shape times its count" });
    }

    private (Times Times, Refresh Refresh) Measure(ParseResult line, SelectionOptions options, IDevice open, string method, Tensor weight, Tensor after)
    {
        using var selector = new MaskSelector(options with { LowRank = new() { Exact = method == "exact" }, WarmStart = method == "warm" }, open);
        if (method == "warm") selector.Select([open.Place(weight)]);
        var basis = selector.Bases.ToDictionary();
        Refresh? refresh = null;
        Patience patience = method == "exact" ? PatienceOf(line) with { Warmup = 0 } : PatienceOf(line);
        Tensor placed = open.Place(after);
        Times times = patience.Time(() => refresh = selector.Select([placed], method == "warm" ? 1 : 0), before: () =>
        {
            foreach (var (name, y) in basis) selector.Bases[name] = y;
        });
        return (times, refresh!);
    }

    private static Refresh Select(SelectionOptions options, IDevice open, Tensor weight)
    {
        using var selector = new MaskSelector(options, open);
        return selector.Select([open.Place(weight)]);
    }

    private IEnumerable<(int M, int N, int Count)> Matrices(ParseResult line)
    {
        if (line.GetValue(shapes) is { } list)
        {
            foreach (string word in list.Split(','))
            {
                string[] sides = word.Split('x');
                if (sides.Length != 2 || !int.TryParse(sides[0], out int m) || !int.TryParse(sides[1], out int n) || m < 1 || n < 1)
                    throw new LiftException($"--shapes holds '{word}'; give matrices such as 1024x1024,2048x2048.");
                yield return (m, n, 1);
            }
            yield break;
        }
        LlamaShape shape = model.Shape(line);
        foreach (var group in shape.Linears.GroupBy(l => (l.In, l.Out))) yield return (group.Key.In, group.Key.Out, group.Count() * shape.Layers);
    }
}
