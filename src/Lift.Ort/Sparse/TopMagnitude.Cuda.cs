using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Sparse;

public readonly partial record struct TopMagnitude
{
    private const int CudaChunk = 4096; // CHUNK of TopMagnitude.cu, and its number of bins
    private const string CudaFile = "TopMagnitude";

    /// <summary>Eleven launches and no wait: threshold and counts stay on the device.</summary>
    public void Run(CudaDevice device)
    {
        uint k = checked((uint)Positions.Length);
        if (k < 1 || k > Count) throw new ArgumentOutOfRangeException(nameof(Positions), $"{k} of {Count}");
        int chunks = (int)((Count + (long)CudaChunk - 1) / CudaChunk), order = (int)Order;
        nint state = device.Scratch(256 + (CudaChunk + 2L * chunks) * sizeof(uint)), bins = state + 256, above = bins + CudaChunk * sizeof(uint), equal = above + (nint)chunks * sizeof(uint);
        var wide = new Grid(Math.Min(chunks, 4L * device.Processors), Grid.Block);
        Grid perChunk = new(chunks, Grid.Block), one = new(1, Grid.Block);
        device.Launch(CudaFile, "Begin", null, one, state, k, bins);
        for (int pass = 0; pass < 3; pass++)
        {
            device.Launch(CudaFile, "Histogram", null, wide, Scores, (long)Count, order, pass, state, bins);
            device.Launch(CudaFile, "PickBin", null, one, state, bins, pass);
        }
        device.Launch(CudaFile, "CountChunks", null, perChunk, Scores, (long)Count, order, state, above, equal);
        device.Launch(CudaFile, "ScanChunks", null, new Grid(1, 1024), above, equal, chunks);
        device.Launch(CudaFile, "EmitPositions", null, perChunk, Scores, (long)Count, order, state, above, equal, Positions.Pointer);
    }
}
