using System.Text.Json;
using Lift.Ort.Onnx;

namespace Lift.Ort.Cli;

/// <summary>A JSON file of named tensors: <c>{"input_ids": {"dtype": "int64", "shape": [1, 3], "data": [5, 6, 7]}, …}</c>, the data flat and row-major.</summary>
internal static class InputsFile
{
    private static readonly Dictionary<string, Func<string, JsonElement, long[], Tensor>> types = new()
    {
        ["int64"] = (name, data, dims) => Make(name, data, dims, e => e.GetInt64()),
        ["int32"] = (name, data, dims) => Make(name, data, dims, e => e.GetInt32()),
        ["float32"] = (name, data, dims) => Make(name, data, dims, e => e.GetSingle()),
        ["float64"] = (name, data, dims) => Make(name, data, dims, e => e.GetDouble()),
        ["float16"] = (name, data, dims) => Make(name, data, dims, e => (Half)e.GetSingle()),
        ["bool"] = (name, data, dims) => Make(name, data, dims, e => e.ValueKind == JsonValueKind.Number ? e.GetInt32() != 0 : e.GetBoolean()),
    };

    /// <exception cref="LiftException">The file is missing, no JSON of this form, or numbers and shape disagree; the message names the input.</exception>
    public static IReadOnlyDictionary<string, Tensor> Read(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            using JsonDocument document = JsonDocument.Parse(stream);
            var inputs = new Dictionary<string, Tensor>();
            foreach (JsonProperty input in document.RootElement.EnumerateObject())
                if (!inputs.TryAdd(input.Name, Tensor(path, input))) throw new LiftException($"'{path}' gives the input '{input.Name}' twice; leave one out.");
            return inputs;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new LiftException($"'{path}' is no JSON object of named tensors ({e.Message.TrimEnd('.')}); write {{\"input_ids\": {{\"dtype\": \"int64\", \"shape\": [1, 2], \"data\": [5, 6]}}, …}}.", e);
        }
    }

    private static Tensor Tensor(string path, JsonProperty input)
    {
        try
        {
            string dtype = input.Value.GetProperty("dtype").GetString() ?? "";
            long[] dims = [.. input.Value.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64())];
            JsonElement data = input.Value.GetProperty("data");
            if (!types.TryGetValue(dtype, out var make)) throw new LiftException($"Input '{input.Name}' in '{path}' has the dtype '{dtype}'; dtypes are: {string.Join(", ", types.Keys)}.");
            if (dims.Any(d => d < 0) || dims.Aggregate((Int128)1, (n, d) => n > data.GetArrayLength() && d > 0 ? n : n * d) != data.GetArrayLength())
                throw new LiftException($"Input '{input.Name}' in '{path}' has {data.GetArrayLength()} numbers for the shape [{string.Join(", ", dims)}].");
            return make(input.Name, data, dims);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or KeyNotFoundException)
        {
            throw new LiftException($"Input '{input.Name}' in '{path}' is not {{\"dtype\", \"shape\", \"data\"}} with numbers of that type: {e.Message}", e);
        }
    }

    private static Tensor Make<T>(string name, JsonElement data, long[] dims, Func<JsonElement, T> read) where T : unmanaged =>
        Onnx.Tensor.From<T>(name, data.EnumerateArray().Select(read).ToArray(), dims);
}
