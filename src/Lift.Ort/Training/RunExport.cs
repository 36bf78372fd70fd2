using System.Security.Cryptography;
using Lift.Ort.Artifacts;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Writing;
using Lift.Ort.Sparse;

namespace Lift.Ort.Training;

/// <summary>Turns a run into an ordinary model: the one that was prepared, with the trained entries changed and nothing else.</summary>
public static class RunExport
{
    /// <summary>Writes the model of a run's latest checkpoint, and the patch that makes it out of the original.</summary>
    /// <param name="run">Folder that <see cref="TrainingRun"/> or <c>lift train</c> wrote.</param>
    /// <param name="model">Where the fine-tuned ONNX model goes; nodes, inputs, outputs and untrained initializers are the original's to the byte.</param>
    /// <param name="patch">Where the patch (safetensors) goes; null: nowhere.</param>
    /// <param name="source">The original model where it moved; null takes the path recorded by <c>lift prepare</c>.</param>
    /// <param name="inference">True writes BatchNormalization and Dropout in inference form where the original has the training form; default false: as in the original.</param>
    /// <returns>The patch: every entry whose bits differ from the original's.</returns>
    /// <exception cref="LiftException">The run has no checkpoint yet, the original is gone or changed, or a file cannot be written.</exception>
    public static SparsePatch Write(string run, string model, string? patch = null, string? source = null, bool inference = false)
    {
        RunFolder folder = RunFolder.Open(run);
        if (!File.Exists(folder.CheckpointPath)) throw new LiftException($"The run '{run}' has no checkpoint yet; train at least to the first one (--save-every), or go on with --resume.");
        Checkpoint state = Checkpoint.Read(folder.CheckpointPath);
        ArtifactFolder artifacts = ArtifactFolder.Open(folder.Settings.Artifacts, source);
        string original = Original(artifacts, out string sha256);
        if (Path.GetFullPath(model) == Path.GetFullPath(original)) throw new LiftException($"'{model}' is the original model itself; name another file.");

        if (patch is not null && new[] { model, original }.Any(f => Path.GetFullPath(f) == Path.GetFullPath(patch))) throw new LiftException($"The patch cannot be written to '{patch}', which is a model; name another file.");

        Tensor[] before = [.. state.Masks.Select(m => Parameter(artifacts, m.Weight))];
        // One weight at a time: neither the trained weights nor what is made of them are in memory together.
        Tensor[] statistics = [.. state.Statistics];
        var difference = new SparsePatch(sha256, [.. before.Select(state.Difference).Concat(statistics.Select(s => SparsePatch.Difference(Parameter(artifacts, s.Name), null, s))).OfType<PatchEntry>()]);
        var values = before.Index().ToDictionary(w => w.Item.Name, w => new NewContent(w.Item.Type, w.Item.Dims, () => state.Apply(w.Index, w.Item)));
        foreach (Tensor statistic in statistics) values.Add(statistic.Name, new NewContent(statistic.Type, statistic.Dims, () => statistic));
        GraphEdit edit = Dequantized(original, artifacts.Record, values);
        if (inference) edit = edit with { Nodes = edit.Nodes.Concat(BatchStatistics.InferenceForm(OnnxFile.Read(original))).ToDictionary() };
        if (patch is not null) difference.Save(patch); // first: a model beside which its patch is missing looks complete
        OnnxFile.Replace(original, values.Where(v => !edit.Added.ContainsKey(v.Key)).ToDictionary(), model, edit);
        return difference;
    }

    /// <summary>The quantized layers that were prepared as float ones, as float layers of the file: with their trained values, or as they were.</summary>
    private static GraphEdit Dequantized(string original, ArtifactRecord record, Dictionary<string, NewContent> trained)
    {
        if (record.Dequantized is not { Count: > 0 } names) return GraphEdit.None;
        Graph source = OnnxFile.Read(original);
        var (graph, weights) = Dequantization.Apply(source, names);
        return new(
            weights.DistinctBy(w => w.Layer.Node.Outputs[0]).ToDictionary(w => w.Layer.Node.Outputs[0], w => w.Nodes),
            weights.SelectMany(w => w.Layer.Node.Inputs).Where(i => source.Initializers.ContainsKey(i) && !graph.Initializers.ContainsKey(i)).ToHashSet(),
            weights.SelectMany(w => w.Constants.Prepend(w.Name)).Distinct().ToDictionary(n => n, n => trained.GetValueOrDefault(n) ?? NewContent.Of(graph.Initializers[n])));
    }

    private static Tensor Parameter(ArtifactFolder artifacts, string name) => artifacts.Parameters.TryGetValue(name, out Tensor? weight) ? weight
        : throw new LiftException($"The prepared folder '{artifacts.Directory}' has no weight '{name}', which the run trained; give the folder that the run was begun with.");

    private static string Original(ArtifactFolder artifacts, out string sha256)
    {
        string path = artifacts.Source ?? throw new LiftException($"'{artifacts.Directory}' does not record which model it was made from; say where that is with --base.");
        if (!File.Exists(path)) throw new LiftException($"The original model '{path}' is gone; say where it is with --base.");
        using FileStream stream = File.OpenRead(path);
        sha256 = Convert.ToHexStringLower(SHA256.HashData(stream));
        if (artifacts.Record.SourceSha256 is { } recorded && !recorded.Equals(sha256, StringComparison.OrdinalIgnoreCase))
        {
            throw new LiftException($"'{path}' is not the model that '{artifacts.Directory}' was made from: its SHA-256 is {sha256}, not {recorded}; say where the original is with --base.");
        }
        return path;
    }
}
