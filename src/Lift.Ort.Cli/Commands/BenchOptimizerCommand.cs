using System.CommandLine;
using Lift.Ort.Cli.Bench;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift bench optimizer</c>: the optimizer's part of a step, on gradients that are already there.</summary>
internal sealed class BenchOptimizerCommand : BenchMeasurement
{
    private readonly BenchModel model;
    private readonly SelectionChoices choices;

    public BenchOptimizerCommand() : base("optimizer", "Only the optimizer's part of a step: masked AdamW on all linear layers of a model, beside the floor that memory sets.",
        "lift bench optimizer --preset 25m --density 0.05")
    {
        model = new BenchModel(this);
        choices = new SelectionChoices(this, Seed, "random");
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        using IDevice open = OpenDevice(line);
        SelectionOptions options = choices.Read(line);
        Tensor[] weights = [.. model.Linears(line, line.GetValue(Seed)).Select(open.Place)];
        using var selector = new MaskSelector(options, open);
        using var optimizer = new Optimizer(open, weights);
        optimizer.SetMasks(selector.Select(weights).Masks);
        long trained = optimizer.Moments.Length;
        using DeviceBuffer<float> gradient = open.Allocate<float>(trained);
        var random = new Random(line.GetValue(Seed));
        float[] values = new float[trained];
        for (int i = 0; i < values.Length; i++) values[i] = (random.NextSingle() - 0.5f) * 4e-3f;
        gradient.CopyFrom(values);

        Times times = PatienceOf(line).Time(() =>
        {
            optimizer.Step(gradient, 1e-4);
            open.Synchronize();
        });
        double bytes = BytesPerTrained(trained / (double)weights.Sum(w => w.Count), weights[0].Type.Bits() / 8);
        double copy = MemoryCopy.GigabytesPerSecond(open, open.Memory.Total > 0 ? 1L << 31 : 1L << 28, new Patience(5, 1, 10), out _);
        Report(line, output, "optimizer", new { method = "lift" }, model.Fields(line), SelectionChoices.Fields(options),
            new { trained, state_bytes = 24 * trained }, times,
            new Dictionary<string, double> { ["ns_per_trained"] = times.MedianS * 1e9 / trained, ["copy_gb_per_s"] = copy, ["floor_bytes_per_trained"] = bytes, ["floor_ns_per_trained"] = bytes / copy },
            new { peak_memory_bytes = Machine.PeakMemory() });
        GC.KeepAlive(weights);
    }

    /// <summary>
    /// The memory traffic of one trained weight: every 64-byte line that holds a trained entry is read and written, and 20 bytes of state
    /// (position, both moments read and written) come with each entry.
    /// </summary>
    internal static double BytesPerTrained(double density, int size)
    {
        int entries = 64 / size;
        return 2 * 64 * (1 - Math.Pow(1 - density, entries)) / (entries * density) + 20;
    }
}
