namespace Lift.Ort.Onnx;

/// <summary>An ONNX model on disk: read into a <see cref="Graph"/> in normal form, or written from one. Weights stay memory-mapped.</summary>
public sealed class OnnxFile
{
    /// <summary>Reads, checks, normalises and infers.</summary>
    /// <exception cref="LiftException">The file is missing, truncated, no ONNX model, or not sound; the message names the broken thing.</exception>
    public static Graph Read(string path) => throw new NotImplementedException(path);

    /// <summary>Writes <paramref name="graph"/>; initializers go to <c>NAME.data</c> beside it when the file would pass 2 GB (or <paramref name="externalData"/> asks for it).</summary>
    public static void Write(Graph graph, string path, bool externalData = false) => throw new NotImplementedException(path);
}
