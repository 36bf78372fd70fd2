using System.CommandLine;
using Lift.Ort.Cli.Doctor;
using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift doctor</c>: what is installed, what works, and for each thing missing the sentence that fixes it.</summary>
internal sealed class DoctorCommand : LiftCommand
{
    private readonly Option<string> device = new("--device") { Description = "What must work: cpu, cuda or cuda:N; any (the default): the CPU, and every GPU that the driver sees.", DefaultValueFactory = _ => "any", HelpName = "NAME" };
    private readonly Option<bool> quick = new("--no-self-test") { Description = "Only look; compute nothing." };

    public DoctorCommand() : base("doctor", "Looks at ONNX Runtime, its providers, CUDA's libraries, driver and GPUs, computes a few things on each device, and says how to mend what is missing.", "lift doctor --json")
    {
        Add(device);
        Add(quick);
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        string wanted = line.GetValue(device)!;
        CudaSurvey cuda = CudaSurvey.Take();
        string[] devices = wanted != "any" ? [wanted] : ["cpu", .. cuda.Gpus.Where(g => g.Problem is null).Select(g => g.Name)];
        var findings = new List<Finding>();
        foreach (Finding finding in Survey.Program().Concat(Survey.Gpu(cuda)).Concat(line.GetValue(quick) ? [] : devices.SelectMany(SelfTest.Run)))
        {
            findings.Add(finding);
            Show(finding, output);
        }
        Finding[] bad = [.. findings.Where(f => f.Health == Health.Wrong || (f.Health == Health.Missing && IsNeeded(f, wanted, cuda)))];
        if (output.WantsJson) output.Json(new { good = bad.Length == 0, devices, findings = findings.Select(f => new { f.Check, health = f.Health.ToString().ToLowerInvariant(), f.Detail, f.Remedy }) });
        if (bad.Length > 0) throw new LiftException($"{bad.Length} of {findings.Count} checks failed: {string.Join(", ", bad.Select(f => f.Check))}; what to do stands with each.");
        output.Note(cuda.Gpus.Count > 0 ? "Everything works." : "The CPU works. There is no GPU to use.");
    }

    /// <summary>What is missing is a fault where a GPU is wanted or there; on a machine without one it is only told.</summary>
    private static bool IsNeeded(Finding finding, string wanted, CudaSurvey cuda) =>
        finding.Check != "cudnn" && (wanted.StartsWith("cuda", StringComparison.Ordinal) || (wanted == "any" && cuda.Gpus.Count > 0)) && !(finding.Check == "GPU" && wanted == "any");

    private static void Show(Finding finding, Output output)
    {
        string mark = finding.Health switch { Health.Good => "good   ", Health.Missing => "missing", _ => "WRONG  " };
        output.Note($"{mark}  {finding.Check}: {finding.Detail}");
        if (finding.Remedy is { } remedy) output.Note($"         → {remedy}");
    }
}
