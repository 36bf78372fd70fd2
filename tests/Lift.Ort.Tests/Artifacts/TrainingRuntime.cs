using System.Diagnostics;
using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Artifacts;

/// <summary>ONNX Runtime's own training runtime (1.19.2, WebAssembly in Node): one process of train.mjs that serves all tests, started by the first.</summary>
internal static class TrainingRuntime
{
    private static readonly Lock gate = new();
    private static Process? node;

    /// <summary>One step of its AdamW for each batch.</summary>
    /// <returns>train.mjs's answer: inputs, outputs, before, losses, after, parameters.</returns>
    public static JsonElement Train(ArtifactFolder folder, IEnumerable<IReadOnlyDictionary<string, Tensor>> batches)
    {
        if (!Directory.Exists(Path.Combine(TestFiles.Root, "node_modules/onnxruntime-web"))) Assert.Inconclusive("onnxruntime-web is absent: npm ci --ignore-scripts");
        string job = JsonSerializer.Serialize(new { folder = folder.Directory, batches = batches.Select(b => b.ToDictionary(p => p.Key, p => Plain(p.Value))) });
        lock (gate)
        {
            if (node is not { HasExited: false }) node = Start();
            node.StandardInput.WriteLine(job);
            node.StandardInput.Flush();
            string answer = node.StandardOutput.ReadLine() ?? throw new InvalidOperationException("The training runtime ended in the middle of a test; its words are on standard error.");
            JsonElement result = JsonDocument.Parse(answer).RootElement;
            if (result.TryGetProperty("error", out JsonElement error)) Assert.Fail($"The training runtime: {error.GetString()}");
            return result;
        }
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
