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
        GraphCheck.Operators(graph, path);
        OpsetConverter.Normalise(graph, path);
        GraphCheck.Types(graph, path);
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

    /// <summary>
    /// Writes a copy of the model at <paramref name="sourcePath"/> in which only the bytes of the named initializers (or Constant nodes) differ:
    /// the same graph, order, opset and storage form; every other byte of the file as it was. External data goes to <c>NAME.data</c> beside the output,
    /// complete. Source and output may be the same file.
    /// </summary>
    /// <param name="replacements">New values by initializer name; element type and dimensions as stored.</param>
    /// <exception cref="LiftException">The source has no such initializer, its type or dimensions differ, or the output cannot be written.</exception>
    public static void Replace(string sourcePath, IReadOnlyDictionary<string, Tensor> replacements, string outputPath) =>
        Replace(sourcePath, replacements.ToDictionary(r => r.Key, r => NewContent.Of(r.Value)), outputPath);

    /// <summary>The same with values that are made when they are written, and with other nodes and initializers where <paramref name="edit"/> says so.</summary>
    internal static void Replace(string sourcePath, IReadOnlyDictionary<string, NewContent> replacements, string outputPath, GraphEdit? edit = null) =>
        new TensorReplacer(new MappedFile(sourcePath), replacements, edit ?? GraphEdit.None).Write(outputPath);
}
