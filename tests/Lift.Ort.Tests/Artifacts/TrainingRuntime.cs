using System.Diagnostics;
using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Artifacts;

/// <summary>
/// ONNX Runtime's own training runtime (1.19.2, WebAssembly in Node): a process of train.mjs for each job. One process for several was tried: released sessions end in
/// "memory access out of bounds", sessions that are kept hang.
/// </summary>
internal static class TrainingRuntime
{
    /// <summary>One step of its AdamW for each batch.</summary>
    /// <returns>train.mjs's answer: inputs, outputs, before, losses, after, parameters.</returns>
    public static JsonElement Train(ArtifactFolder folder, IEnumerable<IReadOnlyDictionary<string, Tensor>> batches)
    {
        if (!Directory.Exists(Path.Combine(TestFiles.Root, "node_modules/onnxruntime-web"))) Assert.Inconclusive("onnxruntime-web is absent: npm ci --ignore-scripts");
        var start = new ProcessStartInfo("node", [Path.Combine(TestFiles.Root, "tests/Lift.Ort.Tests/Artifacts/train.mjs")]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using Process node = Process.Start(start)!;
        Task<string> words = node.StandardError.ReadToEndAsync(), answer = node.StandardOutput.ReadToEndAsync();
        node.StandardInput.WriteLine(JsonSerializer.Serialize(new { folder = folder.Directory, batches = batches.Select(b => b.ToDictionary(p => p.Key, p => Plain(p.Value))) }));
        node.StandardInput.Close();
        node.WaitForExit();
        Assert.AreEqual(0, node.ExitCode, words.Result);
        JsonElement result = JsonDocument.Parse(answer.Result).RootElement;
        if (result.TryGetProperty("error", out JsonElement error)) Assert.Fail($"The training runtime: {error.GetString()}");
        return result;
    }

    private static object Plain(Tensor t) => new
    {
        dtype = t.Type == ElementType.Int64 ? "int64" : "float32",
        shape = t.Dims,
        data = t.Type == ElementType.Int64 ? t.ToLongs().Select(v => (double)v) : t.ToFloats().Select(v => (double)v),
    };
}
