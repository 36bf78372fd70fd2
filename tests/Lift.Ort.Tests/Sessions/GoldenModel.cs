using System.Runtime.InteropServices;
using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Sessions;

/// <summary>A model of the golden material with its recorded cases: inputs, loss and the gradient of every parameter.</summary>
internal sealed class GoldenModel
{
    private readonly JsonElement json;
    private readonly string folder;

    public GoldenModel(string name) : this(name, TestFiles.Shared($"models/{name}"))
    {
    }

    private GoldenModel(string name, string folder)
    {
        this.folder = folder;
        Name = name;
        json = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "golden.json"))).RootElement;
    }

    /// <summary>All models there are, by folder name.</summary>
    public static IEnumerable<string> Names => Directory.GetFiles(TestFiles.Shared("models"), "golden.json", SearchOption.AllDirectories)
        .Select(f => Path.GetFileName(Path.GetDirectoryName(f)!)).Order();

    /// <summary>A model in a folder anywhere: <c>model.onnx</c>, <c>golden.json</c> and its binary files.</summary>
    public static GoldenModel In(string folder) => new(Path.GetFileName(folder), folder);

    public string Name { get; }

    /// <summary>False where the recorded value is inside the graph and no output of the file.</summary>
    public bool OutputsScored => !json.TryGetProperty("inside", out _);

    public bool Is16Bit => json.TryGetProperty("weight_dtype", out JsonElement type) && type.GetString()!.EndsWith("float16", StringComparison.Ordinal);

    public string ModelPath => Path.Combine(folder, "model.onnx");

    public string Loss => json.GetProperty("task").GetString() switch { "causal_lm" => "causal-lm", "mse" => "mse", "bce" => "bce", _ => "cross-entropy" };

    /// <summary>The output to score where the file has several; null leaves the choice to the product.</summary>
    public string? Output => json.TryGetProperty("output", out JsonElement o) ? o.GetString() : null;

    /// <summary>The output that is recorded.</summary>
    public string Scored => json.TryGetProperty("scored", out JsonElement o) ? o.GetString()! : "logits";

    public int Cases => json.GetProperty("cases").GetArrayLength();

    public TrainingGraph Graph(params string[] train) => TrainingGraph.Build(OnnxFile.Read(ModelPath), new() { Loss = Loss, Output = Output, Train = train });

    public ArtifactFolder Prepare(string directory, ArtifactOptions? options = null, params string[] train) =>
        ArtifactFolder.Create(Graph(train.Length > 0 ? train : ["*"]), ModelPath, directory, options);

    private JsonElement Case(int index) => json.GetProperty("cases")[index];

    public double LossOf(int index) => Case(index).GetProperty("loss").GetDouble();

    public Dictionary<string, Tensor> Batch(int index)
    {
        var batch = Case(index).GetProperty("inputs").EnumerateObject().ToDictionary(p => p.Name, p => Read(p.Name, p.Value));
        batch["labels"] = Read("labels", Case(index).GetProperty("labels"));
        return batch;
    }

    public float[] Logits(int index) => Floats(Case(index).GetProperty("logits").GetProperty("file").GetString()!);

    private Tensor Read(string name, JsonElement value)
    {
        long[] dims = [.. value.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64())];
        string type = value.GetProperty("dtype").GetString()!;
        if (value.TryGetProperty("file", out JsonElement file))
        {
            float[] floats = Floats(file.GetString()!);
            return type == "float16" ? Tensor.From<Half>(name, Array.ConvertAll(floats, x => (Half)x), dims) : Tensor.From<float>(name, floats, dims);
        }
        long[] data = [.. value.GetProperty("data").EnumerateArray().Select(v => v.GetInt64())];
        return type switch
        {
            "int32" => Tensor.From<int>(name, Array.ConvertAll(data, v => (int)v), dims),
            "bool" => Tensor.From<bool>(name, Array.ConvertAll(data, v => v != 0), dims),
            _ => Tensor.From<long>(name, data, dims),
        };
    }

    private float[] Floats(string file) => MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(Path.Combine(folder, file))).ToArray();

    /// <summary>
    /// Compares gradients by initializer with the recorded ones by parameter: parameters that share an initializer are summed, as are initializers
    /// that hold one parameter; transposed ones are turned. Answers each name with its relative L2 error (relative to its own norm, or to a
    /// thousandth of the case's largest norm where that is larger) and counts the initializers compared.
    /// </summary>
    public Dictionary<string, double> Errors(int index, IReadOnlyDictionary<string, float[]> gradients)
    {
        float[] all = Floats(Case(index).GetProperty("grads_file").GetString()!);
        var recorded = Case(index).GetProperty("grads").EnumerateArray().ToDictionary(g => g.GetProperty("name").GetString()!,
            g => Array.ConvertAll(all[(g.GetProperty("offset").GetInt32() / 4)..][..(g.GetProperty("bytes").GetInt32() / 4)], x => (double)x));
        double floor = recorded.Values.Max(Norm) / 1000;
        var groups = new Dictionary<string, (List<string> Parameters, Dictionary<string, (string Layout, long[] Shape)> Initializers)>();
        foreach (JsonElement parameter in json.GetProperty("parameters").EnumerateArray())
        {
            var homes = parameter.GetProperty("initializers").EnumerateArray().ToDictionary(i => i.GetProperty("name").GetString()!,
                i => (i.GetProperty("layout").GetString()!, parameter.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64()).ToArray()));
            string key = string.Join(" + ", homes.Keys);
            if (homes.Count == 0) continue; // the exporter folded it into another value
            if (!groups.ContainsKey(key)) groups[key] = ([], homes);
            groups[key].Parameters.Add(parameter.GetProperty("name").GetString()!);
        }
        return groups.ToDictionary(g => g.Key, g =>
        {
            double[] expected = Sum(g.Value.Parameters.Select(p => recorded[p]));
            double[] actual = Sum(g.Value.Initializers.Select(i => InParameterLayout(gradients[i.Key], i.Value.Layout, i.Value.Shape)));
            double[] difference = [.. expected.Zip(actual, (e, a) => e - a)];
            return Norm(difference) / Math.Max(Norm(expected), floor);
        });
    }

    private static double Norm(double[] values) => Math.Sqrt(values.Sum(v => v * v));

    private static double[] Sum(IEnumerable<double[]> terms) => terms.Aggregate((a, b) => [.. a.Zip(b, (x, y) => x + y)]);

    private static double[] InParameterLayout(float[] gradient, string layout, long[] shape)
    {
        Assert.AreEqual(shape.Aggregate(1L, (n, d) => n * d), gradient.LongLength);
        double[] values = Array.ConvertAll(gradient, x => (double)x);
        if (layout is "as_is" or "reshaped") return values;
        Assert.AreEqual("transposed", layout);
        int rows = (int)shape[0], columns = (int)shape[1]; // of the parameter; the initializer is [columns, rows]
        var turned = new double[values.Length];
        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < columns; c++) turned[r * columns + c] = values[c * rows + r];
        }
        return turned;
    }
}
