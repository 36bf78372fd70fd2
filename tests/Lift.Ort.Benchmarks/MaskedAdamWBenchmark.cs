using BenchmarkDotNet.Attributes;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Benchmarks;

/// <summary>One optimizer step over eight 2048×2048 weights: 5 % of the entries at random, or every entry.</summary>
public class MaskedAdamWBenchmark
{
    private const int Side = 2048, Weights = 8;
    private readonly CpuDevice device = new();
    private Optimizer optimizer = null!;
    private CpuBuffer<float> gradient = new(0);

    [Params("random", "full")]
    public string Selection { get; set; } = "";

    [Params(ElementType.Float, ElementType.BFloat16)]
    public ElementType Type { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        Tensor[] weights = [.. Enumerable.Range(0, Weights).Select(i => Tensor.Empty($"w{i}", Type, [Side, Side]))];
        using var selector = new MaskSelector(new SelectionOptions { Selection = Selection }, device);
        optimizer = new Optimizer(device, weights);
        optimizer.SetMasks(selector.Select(weights).Masks);
        gradient = new CpuBuffer<float>(optimizer.Moments.Length);
        gradient.CopyFrom(Matrices.Normal((int)gradient.Length, 1));
    }

    [Benchmark]
    public void Step() => optimizer.Step(gradient, 1e-4);

    [GlobalCleanup]
    public void Cleanup() => optimizer.Dispose();
}
