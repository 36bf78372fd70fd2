using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Sparse;

internal readonly partial record struct ReadMasters
{
    public void Run(CudaDevice device)
    {
        SegmentTable table = SegmentTable.Of(device, Segments);
        device.Launch("Entries", "ReadMasters", null, table.Grid, table.Segments, table.Parts, Master.Pointer);
    }
}

internal readonly partial record struct CarryMoments
{
    public void Run(CudaDevice device)
    {
        SegmentTable old = SegmentTable.Of(device, From.Segments), now = SegmentTable.Of(device, To.Segments);
        device.Launch("Entries", "CarryMoments", null, now.Grid, now.Segments, now.Parts, old.Segments, To.First.Pointer, To.Second.Pointer, To.Master?.Pointer ?? 0,
            From.First.Pointer, From.Second.Pointer, From.Master?.Pointer ?? 0);
    }
}

internal readonly partial record struct CopyEntries
{
    public void Run(CudaDevice device)
    {
        if (Positions.Length > 0) device.Launch("Entries", $"CopyEntries{Size}", null, Grid.For(Positions.Length, perThread: 4), Weight, Positions.Pointer, Entries.Pointer, Out ? 1 : 0, Positions.Length);
    }
}

internal readonly partial record struct Widen
{
    public void Run(CudaDevice device) => device.Launch("Elements", "Widen", Type, Grid.For(Result.Length, perThread: 4), Weight, Result.Pointer, 1f, Result.Length);
}

internal readonly unsafe partial record struct AddStatistic
{
    public void Run(CudaDevice device) =>
        device.Launch("Elements", "AddStatistic", Weight.Type, Grid.For(Weight.Count, perThread: 4), (int)Kind, Values, Gradient, (nint)Weight.Data, 1f / Steps, Weight.Count);
}
