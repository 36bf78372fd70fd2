using System.Text.Json;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Tests.Sparse;

/// <summary>Step by step against the reference optimizer: masks identical, weights and moments within 1e-6 (relative L2), through every refresh.</summary>
[TestClass]
public sealed class LiftTraceTests
{
    private const double Tolerance = 1e-6;

    // Faults and limits of the public code that this project decides against.
    private static bool Exempt(string name) => name is "lift-weight-decay" or "lift-bf16" || name.EndsWith("-dense-state", StringComparison.Ordinal);

    public static IEnumerable<object[]> Names()
    {
        string folder = Path.Combine(Environment.GetEnvironmentVariable("LIFT_SHARED") ?? Path.Combine(TestFiles.Root, "..", "shared"), "golden/lift");
        string[] found = Directory.Exists(folder) ? [.. Directory.GetDirectories(folder).Select(d => Path.GetFileName(d)!).Where(n => !Exempt(n)).Order()] : [];
        return found.Length > 0 ? found.Select(n => new object[] { n }) : [["absent"]];
    }

    [TestMethod, DynamicData(nameof(Names))]
    public void Reference_optimizer_is_followed(string name)
    {
        var trace = new LiftTrace(TestFiles.Shared($"golden/lift/{name}"));
        using var device = Device.Open();
        JsonElement[] recorded = trace.Params;
        Tensor[] weights = [.. recorded.Select((p, i) => Tensor.From<float>($"p{i}", trace.Read<float>(p, "W0"), trace.Shape(p)))];
        var options = new AdamWOptions
        {
            Beta1 = trace.Betas.First,
            Beta2 = trace.Betas.Second,
            Epsilon = trace.Epsilon,
            WeightDecay = trace.WeightDecay,
            BiasCorrection = trace.BiasCorrection,
        };
        using var selector = Selector(trace, device);
        using var optimizer = new Optimizer(device, weights, options);
        optimizer.SetMasks(Masks(trace, selector, weights, null, 0));
        int refresh = 0;
        foreach (JsonElement step in trace.Steps)
        {
            int t = step.GetProperty("step").GetInt32();
            using var gradient = device.Allocate<float>(optimizer.Moments.Length);
            foreach (var (segment, i) in optimizer.Moments.Segments.Select((s, i) => (s, i)))
            {
                float[] dense = trace.Read<float>(recorded[i], "grads", t - 1);
                gradient.CopyFrom(Array.ConvertAll(optimizer.Moments.Masks[i].ToPositions(), p => dense[p]), segment.Offset);
            }
            optimizer.Step(gradient, step.GetProperty("lr").GetDouble());
            for (int i = 0; i < weights.Length; i++)
            {
                Near(trace.Read<float>(recorded[i], "W_after", t - 1), weights[i].AsSpan<float>(), $"step {t}, weight {i}");
                Near(trace.Read<float>(recorded[i], "exp_avg_after", t - 1), Part(optimizer.Moments.First, optimizer.Moments.Segments[i]), $"step {t}, m {i}");
                Near(trace.Read<float>(recorded[i], "exp_avg_sq_after", t - 1), Part(optimizer.Moments.Second, optimizer.Moments.Segments[i]), $"step {t}, v {i}");
            }
            bool due = RefreshRule.IsDue(t, trace.Interval);
            Assert.AreEqual(step.GetProperty("refreshed_after_step").GetBoolean(), due, $"refresh after step {t}");
            if (!due) continue;
            optimizer.SetMasks(Masks(trace, selector, weights, optimizer.Moments.Masks, ++refresh));
            for (int i = 0; i < weights.Length; i++)
            {
                Near(trace.Read<float>(recorded[i], "exp_avg_after_refresh", refresh - 1), Part(optimizer.Moments.First, optimizer.Moments.Segments[i]), $"refresh {refresh}, m {i}");
                Near(trace.Read<float>(recorded[i], "exp_avg_sq_after_refresh", refresh - 1), Part(optimizer.Moments.Second, optimizer.Moments.Segments[i]), $"refresh {refresh}, v {i}");
            }
        }
        Assert.IsTrue(trace.Steps.Length > 0 && refresh == trace.Entries(recorded[0], "masks") - 1);
    }

    [TestMethod, DynamicData(nameof(Names))]
    public void Unmasked_parameters_follow_the_same_AdamW(string name)
    {
        var trace = new LiftTrace(TestFiles.Shared($"golden/lift/{name}"));
        if (trace.DenseParams.Length == 0) return;
        using var device = Device.Open();
        Tensor[] weights = [.. trace.DenseParams.Select((p, i) => Tensor.From<float>($"d{i}", trace.Read<float>(p, "W0"), trace.Shape(p)))];
        using var optimizer = new Optimizer(device, weights, new AdamWOptions { Beta1 = trace.Betas.First, Beta2 = trace.Betas.Second, Epsilon = trace.Epsilon });
        optimizer.SetMasks([.. weights.Select(w => new Mask(w.Name, w.Dims, null))]);
        using var gradient = device.Allocate<float>(optimizer.Moments.Length);
        foreach (JsonElement step in trace.Steps)
        {
            int t = step.GetProperty("step").GetInt32();
            for (int i = 0; i < weights.Length; i++) gradient.CopyFrom(trace.Read<float>(trace.DenseParams[i], "grads", t - 1), optimizer.Moments.Segments[i].Offset);
            optimizer.Step(gradient, step.GetProperty("lr").GetDouble());
            for (int i = 0; i < weights.Length; i++) Near(trace.Read<float>(trace.DenseParams[i], "W_after", t - 1), weights[i].AsSpan<float>(), $"step {t}, dense {i}");
        }
    }

    /// <summary>The trace's selection by our name; null for random masks, which came from PyTorch's generator.</summary>
    private static MaskSelector? Selector(LiftTrace trace, IDevice device)
    {
        string? selection = trace.MaskType switch
        {
            var t when t.StartsWith("lift", StringComparison.Ordinal) => t.Contains("largest", StringComparison.Ordinal) ? "lift" : "lift-smallest",
            var t when t.StartsWith("weight_mag", StringComparison.Ordinal) => "weight-magnitude",
            var t when t.StartsWith("random", StringComparison.Ordinal) => null,
            var t => throw new AssertInconclusiveException($"no selection of ours stands for '{t}'"),
        };
        return selection is null ? null : new MaskSelector(
            new SelectionOptions { Selection = selection, Budget = Budget.RankMatched(trace.Rank), FilterRank = trace.FilterRank, LowRank = new() { Exact = true } }, device);
    }

    /// <summary>Our masks, checked against the trace's; where the margin is within rounding (or for random masks) the trace's own go on.</summary>
    private static Mask[] Masks(LiftTrace trace, MaskSelector? selector, Tensor[] weights, IReadOnlyList<Mask>? previous, int refresh)
    {
        Mask[] recorded = [.. trace.Params.Select((p, i) => new Mask($"p{i}", trace.Shape(p), trace.Read<int>(p, "masks", refresh)).Check())];
        if (selector is null) return recorded;
        Refresh ours = selector.Select(weights, refresh, previous);
        for (int i = 0; i < recorded.Length; i++)
        {
            double overlap = ours.Masks[i].Overlap(recorded[i]);
            if (trace.Margin(i, refresh) >= 1e-6) Assert.AreEqual(1, overlap, $"mask {refresh} of weight {i}, margin {trace.Margin(i, refresh):g2}, bound {ours.Reports[i].Bound:g2}");
            else Assert.IsGreaterThan(0.98, overlap);
        }
        return recorded;
    }

    private static float[] Part(DeviceBuffer<float> vector, Segment segment)
    {
        var part = new float[segment.Length];
        vector.CopyTo(part, segment.Offset);
        return part;
    }

    private static void Near(float[] expected, ReadOnlySpan<float> actual, string what)
    {
        Assert.AreEqual(expected.Length, actual.Length, what);
        double difference = 0, size = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            difference += Math.Pow((double)expected[i] - actual[i], 2);
            size += (double)expected[i] * expected[i];
        }
        Assert.IsLessThanOrEqualTo(Tolerance * Math.Sqrt(size) + 1e-30, Math.Sqrt(difference), what);
    }
}
