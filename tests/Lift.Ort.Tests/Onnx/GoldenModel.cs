using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Onnx;

/// <summary>A model of the golden material with its recorded cases.</summary>
internal sealed class GoldenModel(string name)
{
    public static readonly string[] Names =
        ["bert-tiny", "densenet-bn-tiny", "gpt2-merged-tiny", "gpt2-tiny", "llama-tiny", "llama-tiny-folded", "mlp", "mobilenetv2-bn-tiny", "mobilenetv2-tiny", "stories260k"];

    private readonly string folder = TestFiles.Shared($"models/{name}");
    private JsonElement[]? cases;

    public string Path => System.IO.Path.Combine(folder, "model.onnx");

    public IReadOnlyList<JsonElement> Cases =>
        cases ??= [.. JsonDocument.Parse(File.ReadAllText(System.IO.Path.Combine(folder, "golden.json"))).RootElement.GetProperty("cases").EnumerateArray()];

    /// <summary>The inputs of a case as ONNX Runtime values.</summary>
    public Dictionary<string, OrtValue> Inputs(int index)
    {
        var result = new Dictionary<string, OrtValue>();
        foreach (JsonProperty input in Cases[index].GetProperty("inputs").EnumerateObject())
        {
            long[] shape = [.. input.Value.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64())];
            result[input.Name] = input.Value.GetProperty("dtype").GetString() == "int64"
                ? OrtValue.CreateTensorValueFromMemory(input.Value.GetProperty("data").EnumerateArray().Select(v => v.GetInt64()).ToArray(), shape)
                : OrtValue.CreateTensorValueFromMemory(Floats(input.Value.GetProperty("file").GetString()!), shape);
        }
        return result;
    }

    public float[] Logits(int index) => Floats(Cases[index].GetProperty("logits").GetProperty("file").GetString()!);

    private float[] Floats(string file) => MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(System.IO.Path.Combine(folder, file))).ToArray();
}
