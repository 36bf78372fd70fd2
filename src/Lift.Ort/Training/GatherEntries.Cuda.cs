using Lift.Ort.Devices.Cuda;
using Lift.Ort.Sparse;

namespace Lift.Ort.Training;

internal readonly unsafe partial record struct GatherEntries
{
    public void Run(CudaDevice device)
    {
        SegmentTable table = SegmentTable.Of(device, Segments);
        nint starts = device.Scratch(Starts.Length * sizeof(long));
        fixed (long* from = Starts) device.Upload((byte*)from, starts, Starts.Length * sizeof(long));
        device.Launch("Entries", "GatherEntries", null, table.Grid, table.Segments, table.Parts, starts, Dense.Pointer, Compact.Pointer);
    }
}
