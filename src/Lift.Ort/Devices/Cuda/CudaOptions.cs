namespace Lift.Ort.Devices.Cuda;

/// <summary>How a GPU is used.</summary>
public sealed record CudaOptions
{
    /// <summary>True (the default) lets float32 products of models run in TF32: 10 bits of mantissa, several times faster. False for comparisons with the CPU.</summary>
    public bool Tf32 { get; init; } = true;

    /// <summary>True (the default) computes attention of 16-bit numbers in tiles on tensor cores where its sizes allow it; false in pieces through cuBLAS, for comparisons.</summary>
    public bool AttentionTiles { get; init; } = true;

    /// <summary>Most bytes that ONNX Runtime's arena may take; 0 (the default): all there is.</summary>
    public long ArenaLimit { get; init; }

    /// <summary>
    /// True records the work of a training session's run as a CUDA graph, per shape of its batch, and replays it, where the model allows it. Default false: it has never been
    /// tried on a GPU. See docs/cuda.md.
    /// </summary>
    public bool Graphs { get; init; }
}
