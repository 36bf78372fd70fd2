using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions;

/// <summary>
/// The running statistics of batch normalisation in a session; every batch that goes through the model renews them. Three pieces of device memory hold
/// what they are, what they were before the step, and what a run gives out in float32, so that keeping, renewing and reverting all of them is one copy each,
/// queued in order with everything else: the host waits for none, and none passes through it.
/// </summary>
internal sealed class RunningStatistics : IDisposable
{
    private const long Line = 64; // bytes at whose multiples each begins

    private readonly IDevice device;
    private readonly IReadOnlyList<RunningStatistic> records;
    private readonly DeviceBuffer<byte> given;
    private readonly long[] places; // of each in what a run gives out

    private RunningStatistics(IDevice device, IReadOnlyList<RunningStatistic> records, Tensor[] values)
    {
        (this.device, this.records) = (device, records);
        long[] starts = Starts(values.Select(v => v.ByteLength), out long bytes);
        places = Starts(values.Select(v => v.Count * sizeof(float)), out long wide);
        (Now, Before, given) = (device.Allocate<byte>(bytes), device.Allocate<byte>(bytes), device.Allocate<byte>(wide));
        Weights = [.. values.Select((v, i) => new SessionWeight(new WeightRecord(v.Name, v.Name, v.Dims, v.Type), v, new BufferPart(Now, starts[i], v.ByteLength)))];
        Keep();
    }

    /// <summary>The statistics of a folder's training model on a device; null where it has none.</summary>
    public static RunningStatistics? Of(ArtifactFolder folder, IDevice device) =>
        folder.Record.Statistics is { Count: > 0 } records ? new(device, records, [.. records.Select(r => folder.Parameters[r.Name])]) : null;

    /// <summary>Each of them, as the model reads it.</summary>
    public IReadOnlyList<SessionWeight> Weights { get; }

    /// <summary>All of them as they are; a multiple of 64 bytes.</summary>
    public DeviceBuffer<byte> Now { get; }

    /// <summary>All of them as they were when <see cref="Keep"/> was last called.</summary>
    public DeviceBuffer<byte> Before { get; }

    /// <summary>Binds what the model gives out.</summary>
    public void Bind(BoundSession session)
    {
        foreach (var (i, weight) in Weights.Index())
            session.Output(records[i].Updated, given.Pointer + (nint)places[i], weight.Count * sizeof(float), ElementType.Float, weight.Dims);
    }

    /// <summary>Remembers them before a step.</summary>
    public void Keep() => device.Copy(Now.Pointer, Before.Pointer, Now.Length);

    /// <summary>Takes what the last run gave out.</summary>
    public void Renew()
    {
        if (Weights.All(w => w.Type == ElementType.Float))
        {
            device.Copy(given.Pointer, Now.Pointer, Now.Length);
            return;
        }
        foreach (var (i, weight) in Weights.Index())
        {
            nint from = given.Pointer + (nint)places[i];
            if (weight.Type == ElementType.Float) device.Copy(from, weight.Memory.Pointer, weight.Memory.Length);
            else device.Run(new Narrow(from, weight.Memory.Pointer, weight.Type, weight.Count));
        }
    }

    /// <summary>Goes back to what they were before the last step.</summary>
    public void Revert() => device.Copy(Before.Pointer, Now.Pointer, Now.Length);

    /// <summary>What the last run gave out under this name, in host memory; null where it is no statistic's.</summary>
    public Tensor? Given(string output)
    {
        int i = records.Index().FirstOrDefault(r => r.Item.Updated == output, (-1, null!)).Index;
        if (i < 0) return null;
        Tensor value = Tensor.Empty(output, ElementType.Float, Weights[i].Dims);
        given.CopyTo(value.AsSpan<byte>(), places[i]);
        return value;
    }

    public void Dispose()
    {
        Now.Dispose();
        Before.Dispose();
        given.Dispose();
    }

    private static long[] Starts(IEnumerable<long> lengths, out long total)
    {
        long at = 0;
        long[] starts = [.. lengths.Select(n => (at += (n + Line - 1) / Line * Line) - ((n + Line - 1) / Line * Line))];
        total = at;
        return starts;
    }
}
