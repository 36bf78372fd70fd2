using System.Diagnostics;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Benchmarks;

/// <summary>The mask refresh as issue and design measure it: seconds cold and warm, overlap with the exact mask. One line of JSON per matrix.</summary>
internal static class RefreshStudy
{
    public static void Run(int rows, int columns, int rank, double density, int repetitions, double tolerance)
    {
        var device = new CpuDevice();
        foreach (string spectrum in new[] { "power-law", "flat" })
        {
            float[] values = spectrum == "flat" ? Matrices.Normal(rows * columns, 1) : Matrices.PowerLaw(device, rows, columns, 1);
            Tensor w = Matrices.Tensor(values, rows, columns);
            var options = new SelectionOptions { FilterRank = rank, Budget = Budget.Density(density), LowRank = new() { Tolerance = tolerance } };
            using var exact = new MaskSelector(options with { LowRank = new() { Exact = true } }, device);
            using var cold = new MaskSelector(options with { WarmStart = false }, device);
            using var warm = new MaskSelector(options, device);
            var best = exact.Select([w]);
            var coldRuns = Enumerable.Range(0, repetitions).Select(_ => cold.Select([w])).ToList();
            Refresh before = warm.Select([w]);
            Move(w, before.Masks[0].ToPositions());
            var bestAfter = exact.Select([w]);
            Dictionary<string, Tensor> bases = new(warm.Bases);
            var warmRuns = Enumerable.Range(0, repetitions).Select(_ =>
            {
                foreach (var (name, basis) in bases) warm.Bases[name] = basis;
                return warm.Select([w]);
            }).ToList();
            Console.WriteLine(FormattableString.Invariant(
                $$"""{"bench":"refresh","shape":"{{rows}}x{{columns}}","spectrum":"{{spectrum}}","filter_rank":{{rank}},"tolerance":{{tolerance}},"exact_s":{{best.Total.Seconds:f2}},{{Runs("cold", coldRuns, best)}},{{Runs("warm", warmRuns, bestAfter)}},"old_mask_overlap":{{before.Masks[0].Overlap(bestAfter.Masks[0]):f4}}}"""));
        }
    }

    private static string Runs(string name, List<Refresh> runs, Refresh exact)
    {
        double[] seconds = [.. runs.Select(r => r.Total.Seconds).Order()];
        Refresh last = runs[^1];
        return FormattableString.Invariant(
            $"\"{name}_median_s\":{seconds[seconds.Length / 2]:f3},\"{name}_min_s\":{seconds[0]:f3},\"{name}_overlap\":{last.Masks[0].Overlap(exact.Masks[0]):f4},\"{name}_bound\":{last.Total.Bound:g3},\"{name}_outers\":{last.Total.Outers}");
    }

    /// <summary>Moves every selected entry by 5 % of the weights' standard deviation (0.02), up or down.</summary>
    private static void Move(Tensor w, int[] positions)
    {
        var random = new Random(3);
        Span<float> values = w.AsSpan<float>();
        foreach (int p in positions) values[p] += random.Next(2) == 0 ? 0.001f : -0.001f;
    }
}
