using Lift.Ort.Onnx.Opsets;
using Lift.Ort.Onnx.Reading;
using Lift.Ort.Onnx.Writing;

namespace Lift.Ort.Onnx;

/// <summary>An ONNX model on disk: read into a <see cref="Graph"/> in normal form, or written from one. Weights stay memory-mapped.</summary>
public static class OnnxFile
{
    /// <summary>
    /// Reads, checks, normalises and infers. Weights of 1 KB and more stay in the file (external data included, of any size): only the pages
    /// that are touched are ever loaded.
    /// </summary>
    /// <exception cref="LiftException">The file is missing, truncated, no ONNX model, or not sound; the message names the broken thing.</exception>
    public static Graph Read(string path)
    {
        var file = new MappedFile(path);
        if (file.Length == 0) throw new LiftException($"'{path}' is empty; fetch or export the file again.");
        Graph graph = new GraphReader(file, new Skeleton(file)).Read();
        NodeOrder.Sort(graph, path);
        OpsetConverter.Normalise(graph, path);
        ShapeInference.Infer(graph);
        return graph;
    }

    /// <summary>
    /// Writes <paramref name="graph"/>; initializers go to <c>NAME.data</c> beside it when the file would pass 1.9 GB (or <paramref name="externalData"/> asks for it).
    /// The file appears whole or not at all: an existing one stays as it is until everything is on disk.
    /// </summary>
    /// <param name="contents">Writes the bytes of a weight that has none in memory (its <see cref="Tensor.Data"/> is null), so that a model larger than memory can be made.</param>
    /// <exception cref="LiftException">The folder is missing or read-only, or the disk is full.</exception>
    public static void Write(Graph graph, string path, bool externalData = false, Action<Tensor, Stream>? contents = null) =>
        GraphWriter.Write(graph, path, externalData, contents);
}
