using System.Diagnostics;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Benchmarks;

/// <summary>One masked AdamW step against the floor of memory traffic: each touched 64-byte line of the weights read and written, 24 bytes of gradient, moments (twice) and position.</summary>
internal static unsafe class OptimizerStudy
{
    public static void Run(int side, int count, double density, int repetitions)
    {
        var device = new CpuDevice();
        Tensor[] weights = [.. Enumerable.Range(0, count).Select(i => Tensor.From<float>($"w{i}", Matrices.Normal(side * side, i), side, side))];
        using var selector = new MaskSelector(new SelectionOptions { Selection = density < 1 ? "random" : "full", Budget = Budget.Density(density) }, device);
        using var optimizer = new Optimizer(device, weights);
        optimizer.SetMasks(selector.Select(weights).Masks);
        using var gradient = new CpuBuffer<float>(optimizer.Moments.Length);
        gradient.CopyFrom(Matrices.Normal((int)gradient.Length, 1));

        double lines = optimizer.Moments.Masks.Sum(m => m.Positions is null ? m.Count / 16.0 : m.Positions.Select(p => p / 16).Distinct().Count());
        double bytes = (lines * 128) + (optimizer.Moments.Length * (density < 1 ? 24.0 : 20.0));
        double copy = Best(repetitions, () => Parallel.For(0, weights.Length - 1, i => Buffer.MemoryCopy(weights[i].Data, weights[i + 1].Data, weights[i].ByteLength, weights[i].ByteLength)));
        double bandwidth = 2.0 * (count - 1) * side * side * sizeof(float) / copy, step = Best(repetitions, () => optimizer.Step(gradient, 1e-4));
        Console.WriteLine(FormattableString.Invariant(
            $$"""{"bench":"optimizer","weights":"{{count}} x {{side}}x{{side}}","density":{{density}},"best_s":{{step:f5}},"ns_per_trained":{{step * 1e9 / gradient.Length:f2}},"copy_gb_s":{{bandwidth / 1e9:f1}},"floor_s":{{bytes / bandwidth:f5}},"times_floor":{{step * bandwidth / bytes:f2}}}"""));
    }

    private static double Best(int repetitions, Action action)
    {
        double best = double.PositiveInfinity;
        for (int i = 0; i < repetitions; i++)
        {
            long start = Stopwatch.GetTimestamp();
            action();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return best;
    }
}
