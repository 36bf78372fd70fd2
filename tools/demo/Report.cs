using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Lift.Ort.Training;

namespace Lift.Ort.Demo;

/// <summary>Means over seeds, the table, the files, and what they say in words.</summary>
internal static class Report
{
    private static readonly JsonSerializerOptions json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Full fine-tuning at one learning rate: every seed's way through the steps.</summary>
    public sealed record StoredRuns(double LearningRate, IReadOnlyList<IReadOnlyList<Point>> Seeds)
    {
        /// <summary>The mean over seeds of each step's measurement.</summary>
        [JsonIgnore]
        public IReadOnlyList<Measurement> Way => [.. Enumerable.Range(0, Seeds[0].Count).Select(i => Mean([.. Seeds.Select(s => s[i].Measured)]))];

        [JsonIgnore]
        public IReadOnlyList<Measurement> Last => [.. Seeds.Select(s => s[^1].Measured)];
    }

    /// <summary>Full fine-tuning as it was measured before, and the command that measures it.</summary>
    public sealed record Stored(string Command, IReadOnlyList<StoredRuns> Runs)
    {
        public static Stored Read(string path) => JsonSerializer.Deserialize<Stored>(File.ReadAllText(path), json)!;

        public void Write(string path) => File.WriteAllText(path, JsonSerializer.Serialize(this, json) + "\n");
    }

    public static Measurement Mean(IReadOnlyList<Measurement> seeds) => new(seeds.Average(s => s.Score), seeds.Average(s => s.TargetLoss), seeds.Average(s => s.SourceLoss));

    /// <summary>Prints the comparison and writes it as <c>result.json</c>.</summary>
    public static void Write(TextWriter console, string folder, Measurement before, IReadOnlyList<Measurement> lift, IReadOnlyList<Measurement> random, Stored full)
    {
        var rows = new List<(string Name, Measurement Measured, double? Error)>
        {
            ("before", before, null),
            ($"LIFT, {lift.Count} seeds", Mean(lift), Error(lift)),
            ($"random mask, {random.Count} seeds", Mean(random), Error(random)),
        };
        foreach (StoredRuns runs in full.Runs)
        {
            rows.Add((string.Create(CultureInfo.InvariantCulture, $"full, lr {runs.LearningRate}, {runs.Seeds.Count} seeds *"), Mean(runs.Last), Error(runs.Last)));
            rows.Add(("  where it scores as LIFT *", AtScore(runs.Way.Prepend(before), Mean(lift).Score), null));
        }
        console.WriteLine(Line("", "exact match", "target loss", "source loss"));
        foreach (var (name, m, error) in rows)
        {
            console.WriteLine(double.IsNaN(m.Score) ? Line(name, "not reached", "", "") : string.Create(CultureInfo.InvariantCulture,
                $"{Line(name, $"{100 * m.Score:F1} %{(error is { } e ? $" ± {100 * e:F1}" : "")}", $"{m.TargetLoss:F3}", $"{m.SourceLoss:F4}")}"));
        }
        console.WriteLine($"* stored figures, measured by: {full.Command}");
        foreach (string sentence in Sentences(before, lift, random, full)) console.WriteLine(sentence);
        File.WriteAllText(Path.Combine(folder, "result.json"), JsonSerializer.Serialize(new { before, lift, random, full }, json));
    }

    /// <summary>The loss curves of runs as a picture.</summary>
    public static void Draw(string path, params IReadOnlyList<(string Name, string Run)> runs) =>
        File.WriteAllText(path, RunReport.Svg([.. runs.Select(r => (r.Name, RunLog.Read(Path.Combine(r.Run, RunFolder.LogName))))]));

    /// <summary>What the numbers say, whichever way they fell.</summary>
    internal static IEnumerable<string> Sentences(Measurement before, IReadOnlyList<Measurement> lift, IReadOnlyList<Measurement> random, Stored full)
    {
        Measurement l = Mean(lift), r = Mean(random);
        double gain = 100 * (l.Score - r.Score), error = 100 * Math.Sqrt(Math.Pow(Error(lift), 2) + Math.Pow(Error(random), 2));
        yield return string.Create(CultureInfo.InvariantCulture, $"LIFT against a random mask of the same size: {gain:+0.0;-0.0} points of exact match, standard error {error:F1}: {(Math.Abs(gain) <= 2 * error ? "no difference that these seeds prove" : gain > 0 ? "LIFT is better" : "the random mask is better")}; it adds {l.SourceLoss - before.SourceLoss:F4} to the source-domain loss, the random mask {r.SourceLoss - before.SourceLoss:F4}.");
        foreach (StoredRuns runs in full.Runs)
        {
            double forgets = l.SourceLoss - before.SourceLoss, other = AtScore(runs.Way.Prepend(before), l.Score).SourceLoss - before.SourceLoss;
            yield return double.IsNaN(other)
                ? string.Create(CultureInfo.InvariantCulture, $"Full fine-tuning with lr {runs.LearningRate} never scores as LIFT does, so that forgetting at an equal score cannot be compared.")
                : string.Create(CultureInfo.InvariantCulture, $"At LIFT's score the source-domain loss has grown by {forgets:F4} with LIFT and by {other:F4} with full fine-tuning, lr {runs.LearningRate}: {(forgets < other ? "LIFT forgets less" : "LIFT does not forget less")}.");
        }
    }

    /// <summary>Where a way through the steps first reaches a score, straight between the measurements around it; not a number where it never does.</summary>
    internal static Measurement AtScore(IEnumerable<Measurement> way, double score)
    {
        Measurement? last = null;
        foreach (Measurement next in way)
        {
            if (next.Score >= score)
            {
                if (last is null) return next;
                double t = (score - last.Score) / (next.Score - last.Score);
                return new(score, last.TargetLoss + t * (next.TargetLoss - last.TargetLoss), last.SourceLoss + t * (next.SourceLoss - last.SourceLoss));
            }
            last = next;
        }
        return new(double.NaN, double.NaN, double.NaN);
    }

    /// <summary>Standard error of the mean score.</summary>
    private static double Error(IReadOnlyList<Measurement> seeds)
    {
        double mean = Mean(seeds).Score;
        return Math.Sqrt(seeds.Sum(s => (s.Score - mean) * (s.Score - mean)) / Math.Max(1, seeds.Count - 1) / seeds.Count);
    }

    private static string Line(string name, string score, string target, string source) => $"{name,-30}{score,18}{target,14}{source,14}";
}
