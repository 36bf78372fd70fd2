using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lift.Ort.Cli.Bench;
using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift bench</c>: the table of measurements.</summary>
internal sealed class BenchCommand : Command
{
    public BenchCommand() : base("bench", "Measures this machine and this program; one line of JSON per measurement.")
    {
        Add(new BenchStepCommand());
        Add(new BenchOptimizerCommand());
        Add(new BenchRefreshCommand());
        Add(new BenchGraphCommand());
        Add(new BenchAttentionCommand());
        Add(new BenchGemmCommand());
        Add(new BenchCopyCommand());
    }
}

/// <summary>What all measurements share: patience, device, and the way a line is put together.</summary>
internal abstract class BenchMeasurement : LiftCommand
{
    private readonly Option<int> repeats = Choices.Count("--repeats", "Timed runs.", 10);
    private readonly Option<int> warmup = new("--warmup") { Description = "Runs before the first timed one.", DefaultValueFactory = _ => 2, HelpName = "N" };
    private readonly Option<double> maxSeconds = new("--max-seconds") { Description = "No new repeat starts after this long.", DefaultValueFactory = _ => 60, HelpName = "S" };

    protected BenchMeasurement(string name, string description, string example) : base(name, description, example)
    {
        Add(Device);
        Add(Seed);
        Add(repeats);
        Add(warmup);
        Add(maxSeconds);
        Add(Tf32);
    }

    protected Option<string> Device { get; } = Choices.Device();

    /// <summary>What the device calls itself, where it is no CPU.</summary>
    private string? description;

    protected Option<int> Seed { get; } = Choices.Seed();

    protected Option<bool> Tf32 { get; } = new("--tf32") { Description = "Let a GPU multiply float32 matrices in TF32." };

    /// <summary>Opens the device that was asked for.</summary>
    protected IDevice OpenDevice(ParseResult line)
    {
        IDevice open = Ort.Devices.Device.Open(line.GetValue(Device)!, CudaOf(line));
        description = open.Description == open.Name ? null : open.Description;
        return open;
    }

    /// <summary>Settings of a GPU.</summary>
    protected virtual CudaOptions CudaOf(ParseResult line) => new() { Tf32 = line.GetValue(Tf32) };

    protected Patience PatienceOf(ParseResult line) => new(line.GetValue(repeats), line.GetValue(warmup), line.GetValue(maxSeconds));

    /// <summary>Writes one measurement: its own fields, then peak memory and where it ran; numbers with six digits.</summary>
    protected void Report(ParseResult line, Output output, string measure, params object[] parts)
    {
        var all = new JsonObject { ["measure"] = measure };
        foreach (object part in parts.Append(Machine.Fields(line.GetValue(Device)!, description)))
        {
            var fields = (JsonObject)JsonSerializer.SerializeToNode(part, part.GetType(), Output.Format)!;
            foreach (var (name, value) in fields.ToArray())
            {
                fields.Remove(name);
                all[name] = value is JsonValue v && v.TryGetValue(out double d) && d != Math.Floor(d) ? double.Parse(d.ToString("G6")) : value;
            }
        }
        output.Json(all);
    }
}
