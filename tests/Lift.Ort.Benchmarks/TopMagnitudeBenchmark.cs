using BenchmarkDotNet.Attributes;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Sparse;

namespace Lift.Ort.Benchmarks;

/// <summary>Positions of the largest 5 % of |x|, against sorting all of them.</summary>
public unsafe class TopMagnitudeBenchmark
{
    private readonly CpuDevice device = new();
    private float[] scores = [];
    private CpuBuffer<int> positions = new(0);

    [Params(1 << 20, 1 << 22)]
    public int Count { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        scores = Matrices.Normal(Count, 1);
        positions = new CpuBuffer<int>(Count / 20);
    }

    [Benchmark]
    public void Select()
    {
        fixed (float* p = scores) device.Run(new TopMagnitude((nint)p, Count, positions));
    }

    [Benchmark(Baseline = true)]
    public int[] Sort()
    {
        float[] keys = Array.ConvertAll(scores, x => -MathF.Abs(x));
        int[] order = [.. Enumerable.Range(0, Count)];
        Array.Sort(keys, order);
        Array.Sort(order, 0, Count / 20);
        return order[..(Count / 20)];
    }
}
