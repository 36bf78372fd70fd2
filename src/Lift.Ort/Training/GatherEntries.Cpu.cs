using Lift.Ort.Devices.Cpu;
using Lift.Ort.Sparse;

namespace Lift.Ort.Training;

internal readonly unsafe partial record struct GatherEntries
{
    public void Run(CpuDevice device)
    {
        for (int s = 0; s < Segments.Length; s++)
        {
            Segment segment = Segments[s];
            int* position = (int*)segment.Positions;
            float* from = (float*)Dense.Pointer + Starts[s], to = (float*)Compact.Pointer + segment.Offset;
            for (long i = 0; i < segment.Length; i++) to[i] = from[position == null ? i : position[i]];
        }
    }
}
