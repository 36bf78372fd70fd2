using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse;

internal readonly unsafe partial record struct ReadMasters
{
    public void Run(CpuDevice device)
    {
        foreach (Segment s in Segments)
        {
            if (s.Master < 0) continue;
            float* master = (float*)Master.Pointer + s.Master;
            int* positions = (int*)s.Positions;
            for (long i = 0; i < s.Length; i++) master[i] = HalfPrecision.Entry((byte*)s.Weight, s.Type, positions == null ? i : positions[i]);
        }
    }
}

internal readonly unsafe partial record struct CarryMoments
{
    /// <summary>One merge of two sorted lists per weight.</summary>
    public void Run(CpuDevice device)
    {
        for (int w = 0; w < From.Segments.Length; w++)
        {
            (Segment a, Segment b) = (From.Segments[w], To.Segments[w]);
            int* old = (int*)a.Positions, now = (int*)b.Positions;
            for (long i = 0, j = 0; i < a.Length && j < b.Length;)
            {
                long x = old == null ? i : old[i], y = now == null ? j : now[j];
                if (x == y)
                {
                    ((float*)To.First.Pointer)[b.Offset + j] = ((float*)From.First.Pointer)[a.Offset + i];
                    ((float*)To.Second.Pointer)[b.Offset + j] = ((float*)From.Second.Pointer)[a.Offset + i];
                    if (a.Master >= 0) ((float*)To.Master!.Pointer)[b.Master + j] = ((float*)From.Master!.Pointer)[a.Master + i];
                }
                if (x <= y) i++;
                if (y <= x) j++;
            }
        }
    }
}

internal readonly unsafe partial record struct CopyEntries
{
    public void Run(CpuDevice device)
    {
        int* positions = (int*)Positions.Pointer;
        byte* weight = (byte*)Weight, entries = (byte*)Entries.Pointer;
        for (long i = 0; i < Positions.Length; i++)
        {
            byte* inner = weight + (long)positions[i] * Size, outer = entries + i * Size;
            if (Out) Buffer.MemoryCopy(inner, outer, Size, Size);
            else Buffer.MemoryCopy(outer, inner, Size, Size);
        }
    }
}

internal readonly unsafe partial record struct Widen
{
    public void Run(CpuDevice device)
    {
        byte* from = (byte*)Weight;
        float* to = (float*)Result.Pointer;
        ElementType type = Type;
        Blocks.Run(device, Result.Length, (_, start, end) =>
        {
            for (long i = start; i < end; i++) to[i] = HalfPrecision.Entry(from, type, i);
        });
    }
}

internal readonly unsafe partial record struct AddStatistic
{
    private const float MomentumDecay = 0.9f;

    public void Run(CpuDevice device)
    {
        float* s = (float*)Values, g = (float*)Gradient;
        float mean = 1f / Steps;
        var (kind, w) = (Kind, Weight);
        for (long i = 0; i < w.Count; i++)
        {
            s[i] = kind switch
            {
                Statistic.Gradient => s[i] + (g[i] - s[i]) * mean,
                Statistic.Movement => s[i] - g[i] * HalfPrecision.Entry(w.Data, w.Type, i),
                _ => MomentumDecay * s[i] + (1 - MomentumDecay) * g[i],
            };
        }
    }
}
