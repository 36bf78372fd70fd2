using System.CommandLine;
using Lift.Ort.Cli.Bench;
using Lift.Ort.Devices;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift bench copy</c>: how fast memory is.</summary>
internal sealed class BenchCopyCommand : BenchMeasurement
{
    private readonly Option<double> gib = new("--gib") { Description = "Size of the copied block in GiB.", DefaultValueFactory = _ => 0.25, HelpName = "G" };

    public BenchCopyCommand() : base("copy", "The memory ceiling: GB/s of a copy, bytes read and written counted.", "lift bench copy --gib 0.5") => Add(gib);

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        long bytes = (long)(line.GetValue(gib) * (1L << 30));
        if (bytes < 1) throw new LiftException($"--gib is {line.GetValue(gib)}; give more than 0.");
        using IDevice open = OpenDevice(line);
        double rate = MemoryCopy.GigabytesPerSecond(open, bytes, PatienceOf(line), out Times times);
        Report(line, output, "copy", new { kind = "device", bytes }, times,
            new Dictionary<string, double> { ["gb_per_s"] = rate }, new { peak_memory_bytes = Machine.PeakMemory() });
    }
}
