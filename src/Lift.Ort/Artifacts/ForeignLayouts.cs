using System.Text;

namespace Lift.Ort.Artifacts;

/// <summary>Recognises folders as other programs, and older releases of ONNX Runtime, lay them out.</summary>
internal static class ForeignLayouts
{
    private const string Again = "make the artifacts again with onnxruntime.training.artifacts.generate_artifacts of ONNX Runtime 1.17 to 1.19, or from the model with lift prepare";

    /// <summary>What stands before all file names of a folder (generate_artifacts can be told a prefix): "" where there is none.</summary>
    /// <exception cref="LiftException">The folder holds several sets of artifacts, or models in ORT format.</exception>
    public static string Prefix(string directory)
    {
        if (File.Exists(Path.Combine(directory, ArtifactNames.TrainingModel))) return "";
        string[] found = [.. Directory.EnumerateFiles(directory, "*" + ArtifactNames.TrainingModel).Select(f => Path.GetFileName(f)[..^ArtifactNames.TrainingModel.Length]).Order(StringComparer.Ordinal)];
        if (found.Length == 1) return found[0];
        if (found.Length > 1) throw new LiftException($"'{directory}' holds {found.Length} sets of artifacts ({string.Join(", ", found.Select(f => f + ArtifactNames.TrainingModel))}); put each into a folder of its own.");
        if (Directory.EnumerateFiles(directory, "*training_model.ort").FirstOrDefault() is { } ort)
            throw new LiftException($"'{ort}' is in ORT format, which only training builds of ONNX Runtime read; generate the artifacts with ort_format=False.");
        return "";
    }

    /// <summary>Explains what lies in a checkpoint's place where it is no checkpoint of ONNX Runtime 1.16 or later.</summary>
    /// <exception cref="LiftException">It is none; one sentence says what it is, and the way out.</exception>
    public static void Check(string checkpoint, string prefix)
    {
        if (Directory.Exists(checkpoint))
        {
            bool old = Directory.EnumerateFiles(checkpoint, "*.pbseq").Any();
            throw new LiftException(old
                ? $"'{checkpoint}' is a checkpoint folder of ONNX Runtime 1.13 to 1.15 (files *.pbseq), a layout that later releases do not read either: {Again}."
                : $"'{checkpoint}' is a folder, not a checkpoint file: {Again}.");
        }
        string folder = Path.GetDirectoryName(checkpoint)!;
        if (!File.Exists(checkpoint) && Directory.EnumerateFiles(folder, "*.pbseq").FirstOrDefault() is { } sequence)
            throw new LiftException($"'{sequence}' belongs to a checkpoint of ONNX Runtime 1.13 to 1.15, a layout that later releases do not read either: {Again}.");
        if (!File.Exists(checkpoint) && Directory.EnumerateFiles(folder, "*.ckpt").Concat(Directory.EnumerateDirectories(folder, "*.ckpt")).FirstOrDefault() is { } other)
            throw new LiftException($"There is no '{checkpoint}', but '{other}': name it {Path.GetFileName(checkpoint)} if ONNX Runtime's training API wrote it.");
        if (!File.Exists(checkpoint) && File.Exists(Path.Combine(folder, prefix + "nominal_checkpoint")))
            throw new LiftException($"There is no '{checkpoint}', only a nominal checkpoint, which names the parameters without their values: copy the checkpoint that generate_artifacts wrote beside it.");
        if (File.Exists(checkpoint) && What(checkpoint) is { } what) throw new LiftException($"'{checkpoint}' is {what}, not a checkpoint of ONNX Runtime's training API: {Again}.");
    }

    private static string? What(string file)
    {
        using FileStream stream = File.OpenRead(file);
        Span<byte> head = stackalloc byte[8];
        int count = stream.ReadAtLeast(head, 8, throwOnEndOfStream: false);
        return Encoding.Latin1.GetString(head[..count]) switch
        {
            ['P', 'K', ..] => "a PyTorch (zip) file",
            [_, 'H', 'D', 'F', ..] => "an HDF5 file of ORTTrainer (before ONNX Runtime 1.13)",
            [_, _, _, _, 'O', 'R', 'T', 'M'] => "a model in ORT format",
            ['\x80', ..] => "a pickled Python object",
            _ => null,
        };
    }
}
