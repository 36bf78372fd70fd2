using BenchmarkDotNet.Attributes;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Benchmarks;

/// <summary>The low-rank approximation of one weight, cold and warm.</summary>
public unsafe class LowRankBenchmark
{
    private readonly CpuDevice device = new();
    private LowRank lowRank = null!;
    private Tensor weight = null!;
    private Tensor? basis;

    [Params("1024x1024", "2048x2048", "1024x4096")]
    public string Shape { get; set; } = "";

    [Params("power-law", "flat")]
    public string Spectrum { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        int[] dims = [.. Shape.Split('x').Select(int.Parse)];
        lowRank = new LowRank(device, new LowRankOptions());
        weight = Matrices.Tensor(Spectrum == "flat" ? Matrices.Normal(dims[0] * dims[1], 1) : Matrices.PowerLaw(device, dims[0], dims[1], 1), dims[0], dims[1]);
        Approximate(ref basis);
    }

    [Benchmark(Baseline = true)]
    public double Cold()
    {
        Tensor? none = null;
        return Approximate(ref none);
    }

    [Benchmark]
    public double Warm()
    {
        Tensor? start = basis;
        return Approximate(ref start);
    }

    [GlobalCleanup]
    public void Cleanup() => lowRank.Dispose();

    private double Approximate(ref Tensor? start) => lowRank.Approximate("w", (float*)weight.Data, (int)weight.Dims[0], (int)weight.Dims[1], 128, 1, ref start).Bound;
}
