using System.Diagnostics;
using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Artifacts;

/// <summary>
/// ONNX Runtime's own training runtime (1.19.2, WebAssembly in Node): a process of train.mjs that serves some tests, since starting it takes seconds. Its memory does not stand
/// many sessions ("memory access out of bounds"), so it is replaced after a few, and a job that fails is tried once more in a process of its own.
/// </summary>
internal static class TrainingRuntime
{
    private const int JobsOfAProcess = 6;
    private static readonly TimeSpan patience = TimeSpan.FromMinutes(2);
    private static readonly Lock gate = new();
    private static Process? node;
    private static int jobs;

    /// <summary>One step of its AdamW for each batch.</summary>
    /// <returns>train.mjs's answer: inputs, outputs, before, losses, after, parameters.</returns>
    public static JsonElement Train(ArtifactFolder folder, IEnumerable<IReadOnlyDictionary<string, Tensor>> batches)
    {
        if (!Directory.Exists(Path.Combine(TestFiles.Root, "node_modules/onnxruntime-web"))) Assert.Inconclusive("onnxruntime-web is absent: npm ci --ignore-scripts");
        string job = JsonSerializer.Serialize(new { folder = folder.Directory, batches = batches.Select(b => b.ToDictionary(p => p.Key, p => Plain(p.Value))) });
        lock (gate)
        {
            bool fresh = jobs == 0;
            JsonElement? result = Ask(job, out string? error);
            if (result is null && !fresh) result = Ask(job, out error);
            if (result is null) Assert.Fail($"The training runtime: {error}");
            return result!.Value;
        }
    }

    /// <summary>The answer to a job; null with the reason where there was none, and then the process is gone.</summary>
    private static JsonElement? Ask(string job, out string? error)
    {
        if (node is not { HasExited: false }) node = Start();
        node.StandardInput.WriteLine(job);
        node.StandardInput.Flush();
        Task<string?> answer = node.StandardOutput.ReadLineAsync();
        error = !answer.Wait(patience) ? $"no answer in {patience.TotalMinutes} minutes" : answer.Result is null ? "it ended; its words are on standard error" : null;
        JsonElement? result = error is null ? JsonDocument.Parse(answer.Result!).RootElement : null;
        if (result?.TryGetProperty("error", out JsonElement said) == true) (result, error) = (null, said.GetString());
        if (++jobs < JobsOfAProcess && result is not null) return result;
        node.Kill();
        node.Dispose();
        (node, jobs) = (null, 0);
        return result;
    }

    private static object Plain(Tensor t) => new
    {
        dtype = t.Type == ElementType.Int64 ? "int64" : "float32",
        shape = t.Dims,
        data = t.Type == ElementType.Int64 ? t.ToLongs().Select(v => (double)v) : t.ToFloats().Select(v => (double)v),
    };

    private static Process Start()
    {
        var start = new ProcessStartInfo("node", [Path.Combine(TestFiles.Root, "tests/Lift.Ort.Tests/Artifacts/train.mjs")]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        return Process.Start(start)!; // it ends when this process closes its standard input
    }
}
