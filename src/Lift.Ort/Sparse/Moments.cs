using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse;

/// <summary>m and v (and the float32 master of 16-bit weights) of every selected entry of a model, with the masks they belong to.</summary>
public sealed unsafe class Moments : IDisposable
{
    private readonly IDevice device;
    private readonly IReadOnlyList<Tensor> weights;
    private readonly DeviceBuffer<int>?[] positions; // by weight; null where all entries are selected
    private readonly long masterLength;

    private Moments(IDevice device, IReadOnlyList<Tensor> weights, IReadOnlyList<Mask> masks)
    {
        if (masks.Count != weights.Count) throw new ArgumentException($"{masks.Count} masks for {weights.Count} weights");
        (this.device, this.weights, Masks) = (device, weights, [.. masks.Select(m => m.Normalized())]);
        positions = [.. Masks.Select(m => m.Positions is { } chosen ? device.Share(chosen) : null)];
        Segments = new Segment[weights.Count];
        for (int i = 0; i < Segments.Length; i++)
        {
            (Tensor w, Mask mask) = (weights[i], Masks[i]);
            if (mask.Weight != w.Name || mask.Count != w.Count) throw new ArgumentException($"mask '{mask.Weight}' does not belong to weight '{w}'");
            nint address = positions[i]?.Pointer ?? 0;
            bool own = w.Type == ElementType.Float;
            Segments[i] = new Segment((nint)w.Data, w.Type, address, Length, mask.Length, own ? -1 : masterLength);
            Length += mask.Length;
            if (!own) masterLength += mask.Length;
        }
        First = device.Allocate<float>(Length);
        Second = device.Allocate<float>(Length);
        Master = masterLength > 0 ? device.Allocate<float>(masterLength) : null;
    }

    /// <summary>One per weight, in the weights' order.</summary>
    public IReadOnlyList<Mask> Masks { get; }

    /// <summary>Where each weight's entries lie in the compact vector.</summary>
    public Segment[] Segments { get; }

    /// <summary>Number of selected entries of the whole model.</summary>
    public long Length { get; }

    /// <summary>m</summary>
    public DeviceBuffer<float> First { get; }

    /// <summary>v</summary>
    public DeviceBuffer<float> Second { get; }

    /// <summary>float32 values of the selected entries of the 16-bit weights; null where there are none.</summary>
    public DeviceBuffer<float>? Master { get; }

    /// <summary>Zero moments for these masks; masters start as the weights' values.</summary>
    public static Moments Zero(IDevice device, IReadOnlyList<Tensor> weights, IReadOnlyList<Mask> masks)
    {
        var moments = new Moments(device, weights, masks);
        if (moments.Master is { } master) device.Run(new ReadMasters(moments.Segments, master));
        return moments;
    }

    /// <summary>Moments as they were saved: <paramref name="first"/> and <paramref name="second"/> hold one float per selected entry, <paramref name="master"/> one per selected 16-bit entry.</summary>
    /// <exception cref="LiftException">The lengths do not fit the masks.</exception>
    public static Moments Restore(
        IDevice device, IReadOnlyList<Tensor> weights, IReadOnlyList<Mask> masks, ReadOnlySpan<float> first, ReadOnlySpan<float> second, ReadOnlySpan<float> master)
    {
        var moments = new Moments(device, weights, masks);
        if (first.Length != moments.Length || second.Length != moments.Length || master.Length != moments.masterLength)
        {
            throw new LiftException($"The saved moments have {first.Length}, {second.Length} and {master.Length} entries, but the masks select {moments.Length}, of which {moments.masterLength} are 16-bit; the checkpoint is damaged or of another model.");
        }
        moments.First.CopyFrom(first);
        moments.Second.CopyFrom(second);
        moments.Master?.CopyFrom(master);
        return moments;
    }

    /// <summary>
    /// Moments for new masks of the same weights: entries selected before and after keep m, v and master; new entries have m = v = 0 and the
    /// weight's value as master. This object stays as it is.
    /// </summary>
    public Moments CarryOver(IReadOnlyList<Mask> masks)
    {
        Moments next = Zero(device, weights, masks);
        device.Run(new CarryMoments(this, next));
        return next;
    }

    public void Dispose()
    {
        foreach (DeviceBuffer<int>? buffer in positions) buffer?.Dispose();
        First.Dispose();
        Second.Dispose();
        Master?.Dispose();
    }
}
