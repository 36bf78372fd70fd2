using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse.LinearAlgebra;

/// <summary>
/// The subspaces that refreshes end with and the next ones start from, by weight, in page-locked host memory: they take no room on the device between refreshes, and
/// both ways are queued without a wait. What lies here is true once the stream has come past it, as it has when the positions of the same refresh are there.
/// </summary>
internal sealed class CudaBases(CudaDevice device)
{
    private readonly Dictionary<string, Tensor> kept = [];

    /// <summary>Queues the copy of a block to the device: of one that <see cref="Save"/> gave, or of any other tensor.</summary>
    public unsafe void Load(string weight, Tensor block, nint to)
    {
        if (kept.TryGetValue(weight, out Tensor? own) && own.Data == block.Data) device.QueueUpload(own, to);
        else device.Upload(block.Data, to, block.ByteLength);
        GC.KeepAlive(block);
    }

    /// <summary>Queues the copy of a weight's block, [q, m], to host memory; the next one of this weight takes its place.</summary>
    public Tensor Save(string weight, nint from, int q, int m)
    {
        if (!kept.TryGetValue(weight, out Tensor? own) || !own.Dims.AsSpan().SequenceEqual([q, m])) kept[weight] = own = device.PageLocked("basis", ElementType.Float, q, m);
        device.QueueDownload(from, own);
        return own;
    }
}
