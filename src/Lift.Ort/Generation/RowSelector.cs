using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Writing;
using Lift.Ort.Sessions;
using Microsoft.ML.OnnxRuntime;
using Tensor = Lift.Ort.Onnx.Tensor;

namespace Lift.Ort.Generation;

/// <summary>Picks texts out of a cache, on the device that holds it: those that go on, in the order of the next step. One Gather for each tensor.</summary>
internal sealed class RowSelector : IDisposable
{
    private readonly CacheLayout layout;
    private readonly IDevice device;
    private readonly InferenceSession session;
    private readonly RunOptions run = new();

    public RowSelector(CacheLayout layout, IReadOnlyList<ElementType> types, IDevice device)
    {
        (this.layout, this.device) = (layout, device);
        var graph = new Graph();
        for (int i = 0; i < layout.Slots.Count; i++)
        {
            CacheSlot slot = layout.Slots[i];
            string rows = Rows(slot.RowsPerText);
            if (!graph.Inputs.Exists(x => x.Name == rows)) graph.Inputs.Add(new(rows, new(ElementType.Int64, new Shape(Dim.Unknown))));
            graph.Inputs.Add(new($"from{i}", new(types[i], new Shape([.. new Dim[slot.Dims.Length]]))));
            graph.Nodes.Add(new Node("Gather", "", [$"from{i}", rows], [$"to{i}"]).With("axis", (long)slot.BatchAxis));
            graph.Outputs.Add(new($"to{i}", new(types[i], null)));
        }
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        device.AddTo(options);
        session = new InferenceSession(Google.Protobuf.MessageExtensions.ToByteArray(GraphWriter.ToModel(graph)), options);
    }

    /// <param name="cache">In the layout's order.</param>
    /// <param name="rows">Rows to take, from 0; one may be taken several times.</param>
    public OrtValue[] Pick(IReadOnlyList<OrtValue> cache, IReadOnlyList<int> rows)
    {
        using OrtIoBinding binding = session.CreateIoBinding();
        var keep = new List<Tensor>();
        foreach (long count in layout.Slots.Select(s => s.RowsPerText).Distinct())
        {
            long[] places = [.. rows.SelectMany(r => Enumerable.Range(0, (int)count).Select(i => r * count + i))];
            keep.Add(Tensor.From<long>(Rows(count), places, places.Length));
            using OrtValue value = HostValue.Of(keep[^1]);
            binding.BindInput(Rows(count), value);
        }
        for (int i = 0; i < cache.Count; i++)
        {
            binding.BindInput($"from{i}", cache[i]);
            binding.BindOutputToDevice($"to{i}", device.MemoryInfo);
        }
        session.RunWithBinding(run, binding);
        GC.KeepAlive(keep);
        return HostValue.Outputs(binding, [.. Enumerable.Range(0, cache.Count).Select(i => $"to{i}")]);
    }

    public void Dispose()
    {
        session.Dispose();
        run.Dispose();
    }

    private static string Rows(long perText) => $"rows{perText}";
}
