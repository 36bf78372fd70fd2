using System.Text.Json;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Lowering.Decoders;

/// <summary>A decoder of tools/reference/decoders with its golden losses, gradients and greedy texts.</summary>
internal sealed class RecordedDecoder
{
    private static readonly string folder = System.IO.Path.Combine(TestFiles.Root, "tools", "reference", "decoders");
    private readonly JsonElement json;

    public RecordedDecoder(string name)
    {
        (Name, Path) = (name, System.IO.Path.Combine(folder, name, "model.onnx"));
        json = JsonDocument.Parse(File.ReadAllText(System.IO.Path.Combine(folder, name, "golden.json"))).RootElement;
    }

    public static IEnumerable<string> Names => Directory.GetFiles(folder, "golden.json", SearchOption.AllDirectories).Select(f => System.IO.Path.GetFileName(System.IO.Path.GetDirectoryName(f)!)).Order();

    public static IEnumerable<object[]> Rows => Names.Select(n => new object[] { n });

    /// <summary>Those that write text by themselves.</summary>
    public static IEnumerable<object[]> Writers => Rows.Where(r => !((string)r[0]).StartsWith("t5", StringComparison.Ordinal));

    public string Name { get; }

    public string Path { get; }

    public string Loss => Name.StartsWith("t5", StringComparison.Ordinal) ? "cross-entropy" : "causal-lm";

    public int Cases => json.GetProperty("cases").GetArrayLength();

    public double LossOf(int index) => json.GetProperty("cases")[index].GetProperty("loss").GetDouble();

    /// <summary>Prompts with the tokens that torch's float64 model goes on with.</summary>
    public IReadOnlyList<(int[] Prompt, int[] Tokens)> Greedy => [.. json.GetProperty("greedy").EnumerateArray().Select(g => (Ints(g.GetProperty("prompt")), Ints(g.GetProperty("tokens"))))];

    public Dictionary<string, Tensor> Batch(int index)
    {
        JsonElement c = json.GetProperty("cases")[index];
        var batch = c.GetProperty("inputs").EnumerateObject().ToDictionary(p => p.Name, p => Read(p.Name, p.Value));
        batch["labels"] = Read("labels", c.GetProperty("labels"));
        return batch;
    }

    /// <summary>The relative error of each parameter's gradient: of all initializers that hold it, together.</summary>
    public Dictionary<string, double> Errors(int index, IReadOnlyDictionary<string, float[]> gradients, Graph graph)
    {
        JsonElement recorded = json.GetProperty("cases")[index].GetProperty("gradients");
        var golden = recorded.EnumerateObject().ToDictionary(p => p.Name, p => Floats(p.Value.GetString()!));
        double floor = golden.Values.Max(Norm) / 1000;
        var errors = new Dictionary<string, double>();
        foreach (JsonElement parameter in json.GetProperty("parameters").EnumerateArray())
        {
            string name = parameter.GetProperty("name").GetString()!;
            var sum = new double[golden[name].Length];
            int homes = 0;
            foreach (JsonElement home in parameter.GetProperty("initializers").EnumerateArray())
            {
                if (!gradients.TryGetValue(home.GetProperty("name").GetString()!, out float[]? gradient)) continue;
                homes++;
                Add(sum, gradient, home, [.. parameter.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64())], graph.Initializers[home.GetProperty("name").GetString()!].Dims);
            }
            Assert.IsGreaterThan(0, homes, $"no gradient for {name}");
            errors[name] = Norm([.. sum.Zip(golden[name], (a, b) => a - b)]) / Math.Max(Norm(golden[name]), floor);
        }
        return errors;
    }

    private static void Add(double[] sum, float[] gradient, JsonElement home, long[] shape, long[] stored)
    {
        string layout = home.GetProperty("layout").GetString()!;
        long first = layout == "columns" ? home.GetProperty("first").GetInt64() : 0;
        for (long i = 0; i < sum.Length; i++)
        {
            long row = shape.Length > 1 ? i / shape[1] : 0, column = shape.Length > 1 ? i % shape[1] : i;
            sum[i] += gradient[layout == "as_is" ? i : column * stored[^1] + first + row];
        }
    }

    private static double Norm(double[] values) => Math.Sqrt(values.Sum(v => v * v));

    private static double[] Floats(string text)
    {
        byte[] bytes = Convert.FromBase64String(text);
        return [.. Enumerable.Range(0, bytes.Length / 4).Select(i => (double)BitConverter.ToSingle(bytes, 4 * i))];
    }

    private static int[] Ints(JsonElement list) => [.. list.EnumerateArray().Select(v => v.GetInt32())];

    private static Tensor Read(string name, JsonElement value)
    {
        long[] dims = [.. value.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64())];
        JsonElement.ArrayEnumerator data = value.GetProperty("data").EnumerateArray();
        return value.GetProperty("dtype").GetString() switch
        {
            "float32" => Tensor.From<float>(name, [.. data.Select(v => v.GetSingle())], dims),
            "int32" => Tensor.From<int>(name, [.. data.Select(v => v.GetInt32())], dims),
            _ => Tensor.From<long>(name, [.. data.Select(v => v.GetInt64())], dims),
        };
    }
}
