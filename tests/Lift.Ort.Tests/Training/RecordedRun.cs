using System.Runtime.InteropServices;
using System.Text.Json;
using Lift.Ort.Data;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

/// <summary>A folder of golden/lift-train: a model fine-tuned by the reference optimizer, every loss and mask recorded.</summary>
internal sealed class RecordedRun
{
    private readonly string folder;
    private readonly JsonElement manifest, settings;

    public RecordedRun(string name)
    {
        folder = TestFiles.Shared($"golden/lift-train/{name}");
        manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "manifest.json"))).RootElement;
        settings = manifest.GetProperty("settings");
    }

    /// <summary>All recorded runs that are there; a name that says so where there are none.</summary>
    public static IEnumerable<object[]> Names()
    {
        string runs = Path.Combine(Environment.GetEnvironmentVariable("LIFT_SHARED") ?? Path.Combine(TestFiles.Root, "..", "shared"), "golden", "lift-train");
        return Directory.Exists(runs) ? Directory.GetDirectories(runs).Order().Select(d => new object[] { Path.GetFileName(d) }) : [["absent"]];
    }

    public string ModelFolder => TestFiles.Shared($"models/{manifest.GetProperty("model").GetString()}");

    public TrainingOptions Options => new()
    {
        Steps = settings.GetProperty("steps").GetInt32(),
        LearningRate = settings.GetProperty("lr").GetDouble(),
        Warmup = settings.GetProperty("warmup").GetDouble(),
        Budget = Budget.RankMatched(settings.GetProperty("rank").GetInt32()),
        FilterRank = settings.GetProperty("filter_rank").GetInt32(),
        Interval = settings.GetProperty("update_interval").GetInt32(),
        Optimizer = new()
        {
            Beta1 = settings.GetProperty("betas")[0].GetDouble(),
            Beta2 = settings.GetProperty("betas")[1].GetDouble(),
            Epsilon = settings.GetProperty("eps").GetDouble(),
            WeightDecay = settings.GetProperty("weight_decay").GetDouble(),
        },
    };

    /// <summary>1e-4, and 1e-3 where the record says that float32 alone moves mask entries.</summary>
    public double Tolerance => manifest.GetProperty("mask_entries_that_differ_float32_float64").GetInt32() == 0 ? 1e-4 : 1e-3;

    public double[] Losses => [.. manifest.GetProperty("losses_float32").EnumerateArray().Select(l => l.GetProperty("loss").GetDouble())];

    /// <summary>The batch of every step, in order.</summary>
    public IReadOnlyList<Batch> Batches
    {
        get
        {
            Batch[] batches = [.. manifest.GetProperty("batches").EnumerateArray().Select(ToBatch)];
            return [.. manifest.GetProperty("losses_float32").EnumerateArray().Select(l => batches[l.GetProperty("batch").GetInt32()])];
        }
    }

    /// <summary>The last mask of every trained matrix as positions in the stored initializer.</summary>
    public IReadOnlyDictionary<string, int[]> FinalMasks()
    {
        var stored = JsonDocument.Parse(File.ReadAllText(Path.Combine(ModelFolder, "golden.json"))).RootElement.GetProperty("parameters").EnumerateArray()
            .ToDictionary(p => p.GetProperty("name").GetString()!, p => p.GetProperty("initializers")[0]);
        byte[] masks = File.ReadAllBytes(Path.Combine(folder, "masks.i32.bin"));
        var result = new Dictionary<string, int[]>();
        foreach (JsonElement p in manifest.GetProperty("params").EnumerateArray())
        {
            JsonElement offsets = p.GetProperty("mask_offsets"), initializer = stored[p.GetProperty("name").GetString()!];
            int[] mask = MemoryMarshal.Cast<byte, int>(masks.AsSpan(offsets[offsets.GetArrayLength() - 1].GetInt32(), 4 * p.GetProperty("k").GetInt32())).ToArray();
            int rows = p.GetProperty("shape")[0].GetInt32(), columns = p.GetProperty("shape")[1].GetInt32();
            if (initializer.GetProperty("layout").GetString() == "transposed") mask = [.. mask.Select(i => i % columns * rows + i / columns).Order()];
            result.Add(initializer.GetProperty("name").GetString()!, mask);
        }
        return result;
    }

    private static Batch ToBatch(JsonElement batch)
    {
        var values = batch.GetProperty("inputs").EnumerateObject().ToDictionary(i => i.Name, i => ToTensor(i.Name, i.Value));
        values.Add(Batch.LabelsName, ToTensor(Batch.LabelsName, batch.GetProperty("labels")));
        Tensor labels = values[Batch.LabelsName];
        return new Batch(values, (int)labels.Dims[0], labels.Count, labels.ToLongs().LongCount(l => l >= 0));
    }

    private static Tensor ToTensor(string name, JsonElement value) => Tensor.From<long>(name,
        [.. value.GetProperty("data").EnumerateArray().Select(v => v.GetInt64())], [.. value.GetProperty("shape").EnumerateArray().Select(v => v.GetInt64())]);
}
