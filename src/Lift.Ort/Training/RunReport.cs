using System.Globalization;
using System.Net;
using System.Text;

namespace Lift.Ort.Training;

/// <summary>A picture of one run or several side by side, drawn from their logs.</summary>
public static class RunReport
{
    /// <summary>
    /// Writes loss curves of run folders to <paramref name="path"/>: an SVG picture for <c>.svg</c>; otherwise an HTML page with a table
    /// (steps, first and last loss, tokens, time in refreshes) and the curves of loss, learning rate and mask overlap.
    /// </summary>
    /// <exception cref="LiftException">A folder holds no log.</exception>
    public static void Write(string path, IReadOnlyList<string> runs) =>
        File.WriteAllText(path, Path.GetExtension(path).Equals(".svg", StringComparison.OrdinalIgnoreCase) ? Svg(Load(runs)) : Html(Load(runs)));

    /// <summary>The loss curves of logs as an SVG picture.</summary>
    public static string Svg(IReadOnlyList<(string Name, IReadOnlyList<RunEvent> Log)> runs) => LineChart.Draw("Training loss", "step", "loss",
    [
        .. runs.Select(r => new Curve(r.Name, Points<StepDone>(r.Log, s => s.Loss))),
        .. runs.Select(r => new Curve($"{r.Name}, validation", Points<Validated>(r.Log, v => v.ValidationLoss))).Where(c => c.Points.Count > 0),
    ]);

    private static string Html(IReadOnlyList<(string Name, IReadOnlyList<RunEvent> Log)> runs)
    {
        var html = new StringBuilder("<!doctype html><meta charset=\"utf-8\"><title>Runs</title>\n<style>body{font-family:sans-serif;max-width:60em;margin:2em auto}td,th{padding:.2em 1em;text-align:right}</style>\n");
        html.AppendLine("<table><tr><th>run</th><th>steps</th><th>first loss</th><th>last loss</th><th>tokens</th><th>trained entries</th><th>refreshes</th><th>refresh seconds</th><th>validation</th></tr>");
        foreach (var (name, log) in runs)
        {
            StepDone[] steps = [.. log.OfType<StepDone>()];
            MaskRefreshed[] refreshes = [.. log.OfType<MaskRefreshed>()];
            html.AppendLine(CultureInfo.InvariantCulture, $"<tr><td>{WebUtility.HtmlEncode(name)}</td><td>{steps.LastOrDefault()?.Step}</td><td>{steps.FirstOrDefault()?.Loss:F4}</td><td>{steps.LastOrDefault()?.Loss:F4}</td><td>{steps.LastOrDefault()?.Tokens}</td><td>{refreshes.LastOrDefault()?.K}</td><td>{refreshes.Length}</td><td>{refreshes.Sum(r => r.Seconds):F2}</td><td>{Held(log)}</td></tr>");
        }
        html.AppendLine("</table>").AppendLine(Svg(runs));
        html.AppendLine(LineChart.Draw("Learning rate", "step", "lr", [.. runs.Select(r => new Curve(r.Name, Points<StepDone>(r.Log, s => s.Lr)))]));
        if (runs.Any(r => r.Log.OfType<MaskRefreshed>().Any(m => m.Overlap is not null)))
        {
            html.AppendLine(LineChart.Draw("Overlap of a new mask with the old one", "step", "overlap", [.. runs.Select(r => new Curve(r.Name, Points<MaskRefreshed>(r.Log, m => m.Overlap ?? double.NaN)))]));
        }
        foreach (string metric in runs.SelectMany(r => r.Log.OfType<Validated>()).SelectMany(v => v.Metrics?.Keys ?? []).Distinct())
        {
            html.AppendLine(LineChart.Draw($"Validation: {metric}", "step", metric, [.. runs.Select(r => new Curve(r.Name, Points<Validated>(r.Log, v => v.Metrics?.GetValueOrDefault(metric, double.NaN) ?? double.NaN)))]));
        }
        return html.ToString();
    }

    /// <summary>The last loss on validation rows and the metrics with it.</summary>
    private static string Held(IReadOnlyList<RunEvent> log) => log.OfType<Validated>().LastOrDefault() is not { } last ? ""
        : string.Join(", ", (last.Metrics ?? new Dictionary<string, double>()).Select(m => FormattableString.Invariant($"{m.Key} {m.Value:F4}")).Prepend(FormattableString.Invariant($"loss {last.ValidationLoss:F4}")));

    private static List<(double, double)> Points<T>(IReadOnlyList<RunEvent> log, Func<T, double> value) where T : RunEvent => [.. log.OfType<T>().Select(e => ((double)e.Step, value(e)))];

    private static List<(string, IReadOnlyList<RunEvent>)> Load(IReadOnlyList<string> runs) =>
    [
        .. runs.Select(run =>
        {
            string log = Path.Combine(run, RunFolder.LogName);
            return File.Exists(log) ? (Path.GetFileName(Path.GetFullPath(run).TrimEnd('/', '\\')), RunLog.Read(log))
                : throw new LiftException($"'{run}' is no run folder: it has no {RunFolder.LogName}; give a folder that `lift train` wrote.");
        }),
    ];
}
