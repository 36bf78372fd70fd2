using System.Runtime.InteropServices;
using System.Text.Json;

namespace Lift.Ort.Tests.Sparse;

/// <summary>A recorded run of the reference LIFT optimizer: golden/lift/NAME (its README describes the form).</summary>
internal sealed class LiftTrace(string folder)
{
    private readonly JsonElement manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "manifest.json"))).RootElement;

    public string MaskType => manifest.GetProperty("mask_type").GetString()!;

    public int Rank => manifest.GetProperty("rank").GetInt32();

    public int FilterRank => manifest.GetProperty("filter_rank").GetInt32();

    public int Interval => manifest.GetProperty("update_interval").GetInt32();

    public double Epsilon => manifest.GetProperty("eps").GetDouble();

    public double WeightDecay => manifest.GetProperty("weight_decay").GetDouble();

    public bool BiasCorrection => !manifest.TryGetProperty("correct_bias", out var value) || value.GetBoolean();

    public (double First, double Second) Betas => (manifest.GetProperty("betas")[0].GetDouble(), manifest.GetProperty("betas")[1].GetDouble());

    public JsonElement[] Steps => [.. manifest.GetProperty("steps").EnumerateArray()];

    public JsonElement[] Params => [.. manifest.GetProperty("params").EnumerateArray()];

    public JsonElement[] DenseParams => manifest.TryGetProperty("dense_params", out var list) ? [.. list.EnumerateArray()] : [];

    /// <summary>The smallest gap at the threshold of one mask; 0 where none was recorded.</summary>
    public double Margin(int param, int mask) => manifest.GetProperty("masks").EnumerateArray()
        .Where(m => m.GetProperty("param").GetInt32() == param && m.GetProperty("mask").GetInt32() == mask)
        .Select(m => m.TryGetProperty("relative_margin", out var margin) && margin.ValueKind == JsonValueKind.Number ? margin.GetDouble() : 0).FirstOrDefault();

    public int Entries(JsonElement param, string key) => param.GetProperty(key).GetProperty("entries").GetArrayLength();

    public long[] Shape(JsonElement param) => [.. param.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64())];

    /// <summary>Entry <paramref name="index"/> of an array of the trace.</summary>
    public T[] Read<T>(JsonElement param, string key, int index = 0) where T : unmanaged
    {
        JsonElement array = param.GetProperty(key), entry = array.GetProperty("entries")[index];
        long count = entry.GetProperty("shape").EnumerateArray().Aggregate(1L, (n, d) => n * d.GetInt64());
        using var file = File.OpenRead(Path.Combine(folder, array.GetProperty("file").GetString()!));
        file.Position = entry.GetProperty("offset").GetInt64();
        var result = new T[count];
        file.ReadExactly(MemoryMarshal.AsBytes(result.AsSpan()));
        return result;
    }
}
