using System.Diagnostics;

namespace Lift.Ort.Cli.Bench;

/// <summary>Seconds of one run: the median of the repeats with its spread. Fewer repeats than asked for: the time limit was reached.</summary>
internal sealed record Times(double MedianS, double MinS, double MaxS, int Repeats, int Warmup)
{
    /// <summary>The times of one of several operations that a run did.</summary>
    public Times Divided(int operations) => this with { MedianS = MedianS / operations, MinS = MinS / operations, MaxS = MaxS / operations };
}

/// <summary>How a measurement is repeated.</summary>
/// <param name="Repeats">Timed runs, at most.</param>
/// <param name="Warmup">Runs before the first timed one.</param>
/// <param name="MaxSeconds">No new repeat starts after this long.</param>
internal sealed record Patience(int Repeats, int Warmup, double MaxSeconds)
{
    /// <summary>Warm-up runs go on for at least this long, where there are any; 0 by default. Short runs of our own loops want half a second: so long the runtime takes to compile them for good.</summary>
    public double WarmSeconds { get; init; }

    /// <summary>Times <paramref name="run"/>: warm-up runs, then repeats until their number or the time is reached; at least one.</summary>
    /// <param name="before">Untimed work before every run.</param>
    /// <param name="inner">Operations that one timed run does; the time is divided by it.</param>
    public Times Time(Action run, Action? before = null, int inner = 1)
    {
        long begin = Stopwatch.GetTimestamp();
        int warm = 0;
        for (; warm < Warmup || (Warmup > 0 && Stopwatch.GetElapsedTime(begin).TotalSeconds < WarmSeconds); warm++)
        {
            before?.Invoke();
            run();
        }
        var times = new List<double>();
        begin = Stopwatch.GetTimestamp();
        while (times.Count == 0 || (times.Count < Repeats && Stopwatch.GetElapsedTime(begin).TotalSeconds < MaxSeconds))
        {
            before?.Invoke();
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < inner; i++) run();
            times.Add(Stopwatch.GetElapsedTime(start).TotalSeconds / inner);
        }
        return new Times(Median(times), times.Min(), times.Max(), times.Count, warm);
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
