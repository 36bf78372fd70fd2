using System.Diagnostics;
using System.Globalization;
using Lift.Ort.Tests.Cli;

namespace Lift.Ort.Tests.Fuzz;

/// <summary>
/// Damaged model files through <c>lift inspect</c> and <c>lift prepare</c>: each either works or is refused with exit code 2 and one sentence; no crash,
/// no file takes 10 seconds, none makes the process grow by 2 GB. The suite runs a sample; <c>./build.sh Fuzz --count=20000</c> runs as many as one likes
/// (LIFT_FUZZ is the number of files, LIFT_FUZZ_SEED the first seed, LIFT_FUZZ_ONLY a regular expression over the sources' names).
/// </summary>
[TestClass]
public sealed class FuzzTests
{
    private const long MemoryLimit = 2L << 30;
    private static readonly TimeSpan TimeLimit = TimeSpan.FromSeconds(10);

    [TestMethod]
    public void Damaged_models_work_or_are_refused_in_one_sentence()
    {
        int count = Number("LIFT_FUZZ", 300), first = Number("LIFT_FUZZ_SEED", 1);
        using var temp = TestFiles.Temp();
        var corpus = new FuzzCorpus(temp["corpus"]);
        var failures = new List<string>();
        int worked = 0, refused = 0;
        TimeSpan slowest = TimeSpan.Zero;
        string now = "", report = Environment.GetEnvironmentVariable("LIFT_FUZZ_REPORT") ?? temp["report.txt"];
        using var watchdog = new Timer(_ => Environment.FailFast($"lift hangs on the fuzzed model {now}"), null, Timeout.Infinite, Timeout.Infinite);
        for (int seed = first; seed < first + count; seed++)
        {
            var random = new Random(seed);
            var (name, source) = corpus[random.Next(corpus.Count)];
            bool structure = random.Next(3) > 0;
            byte[] mutant = structure ? new StructureMutator(random).Mutate(source) : ByteMutator.Mutate(source, random);
            string path = Path.Combine(Path.GetDirectoryName(corpus.External)!, "mutant.onnx");
            File.WriteAllBytes(path, mutant);
            now = $"{seed} ({name}, {(structure ? "structure" : "bytes")})";
            File.WriteAllText(report, now);
            if (seed % 100 == 0) Collect();
            ResetPeak();
            long before = Resident("VmRSS") ?? 0;
            watchdog.Change(TimeSpan.FromSeconds(60), Timeout.InfiniteTimeSpan);
            foreach (string[] command in new string[][] { ["inspect", path, "--json"], ["prepare", path, "--train", "*", "--loss", "mse", "-o", temp["prepared"], "--quiet"] })
            {
                var watch = Stopwatch.StartNew();
                LiftRun run = LiftRun.Here(command);
                string sentence = run.Error.Trim();
                if (run.Code == 0) worked++;
                else refused++;
                if (run.Code is not (0 or 2)) failures.Add($"{now} {command[0]}: exit {run.Code}: {sentence}");
                else if (run.Code == 2 && (sentence.Contains('\n') || !sentence.StartsWith("lift: ", StringComparison.Ordinal) || !".'!?)".Contains(sentence[^1]))) failures.Add($"{now} {command[0]}: no sentence: {sentence}");
                else if (sentence.Length > 2000) failures.Add($"{now} {command[0]}: a sentence of {sentence.Length} characters: {sentence[..200]}");
                if (watch.Elapsed > TimeLimit) failures.Add($"{now} {command[0]}: {watch.Elapsed.TotalSeconds:F1} s");
                slowest = watch.Elapsed > slowest ? watch.Elapsed : slowest;
            }
            if (Directory.Exists(temp["prepared"])) Directory.Delete(temp["prepared"], true);
            if (Resident("VmHWM") - before is { } grown && grown > MemoryLimit) failures.Add($"{now}: {grown >> 20} MiB");
            if (failures.Count >= 200) break;
        }
        watchdog.Change(Timeout.Infinite, Timeout.Infinite);
        Console.WriteLine($"{count} files from {corpus.Count} models: {worked} runs worked, {refused} were refused, the slowest took {slowest.TotalSeconds:F1} s, {(Resident("VmRSS") ?? 0) >> 20} MiB resident at the end.");
        File.WriteAllLines(report, failures.Prepend($"{count} files from {corpus.Count} models: {worked} runs worked, {refused} were refused, the slowest took {slowest.TotalSeconds:F1} s, {(Resident("VmRSS") ?? 0) >> 20} MiB resident at the end."));
        Assert.AreEqual(0, failures.Count, string.Join("\n", failures.Take(40)));
        Assert.IsTrue(worked > 0 && refused > 0, "mutation changes nothing, or everything");
    }

    private static int Number(string variable, int otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;

    /// <summary>Sets the kernel's record of the peak back to what is resident now.</summary>
    private static void ResetPeak()
    {
        if (OperatingSystem.IsLinux()) File.WriteAllText("/proc/self/clear_refs", "5");
    }

    /// <summary>Mapped files and native memory of the runs before go away with their owners.</summary>
    private static void Collect()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    /// <summary>Resident bytes of this process, now (VmRSS) or at most since <see cref="ResetPeak"/> (VmHWM); null where the system does not say.</summary>
    private static long? Resident(string field) => !OperatingSystem.IsLinux() ? null : File.ReadLines("/proc/self/status").Where(l => l.StartsWith($"{field}:", StringComparison.Ordinal))
        .Select(l => long.Parse(l.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10).First();
}
