using System.Runtime.InteropServices;
using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Sparse;

/// <summary>
/// The segments of a model on a GPU, with the division of their entries among blocks of threads: one launch serves every weight, however many there are.
/// Made once for each array of segments.
/// </summary>
internal sealed class SegmentTable
{
    /// <summary>Entries of one block; PER_BLOCK of Segments.cuh.</summary>
    private const int PerBlock = 2048;

    private readonly DeviceBuffer<Segment> segments;
    private readonly DeviceBuffer<Part> parts;

    private SegmentTable(CudaDevice device, Segment[] table)
    {
        segments = device.Allocate<Segment>(table.Length);
        segments.CopyFrom(table);
        Part[] division = [.. table.SelectMany((s, i) => Enumerable.Range(0, checked((int)((s.Length + PerBlock - 1) / PerBlock))).Select(n => new Part(i, n)))];
        Blocks = division.Length;
        parts = device.Allocate<Part>(division.Length);
        parts.CopyFrom(division);
    }

    /// <summary>Blocks of threads.</summary>
    public int Blocks { get; }

    public Grid Grid => new(Blocks, Grid.Block);

    /// <summary>Address of the array of segments.</summary>
    public nint Segments => segments.Pointer;

    /// <summary>Address of the array that says which block takes which part of which segment.</summary>
    public nint Parts => parts.Pointer;

    public static SegmentTable Of(CudaDevice device, Segment[] segments) => device.Remember(segments, () => new SegmentTable(device, segments));

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Part(int Segment, int Number);
}
