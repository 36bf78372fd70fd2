using Google.Protobuf;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Artifacts;

/// <summary>
/// A folder of training artifacts: training_model.onnx, eval_model.onnx, optimizer_model.onnx and checkpoint as ONNX Runtime's training API
/// defines them, and our lift.json. Folders of other makers, without lift.json, open too.
/// </summary>
public sealed class ArtifactFolder
{
    private readonly Lazy<IReadOnlyDictionary<string, Tensor>> parameters;
    private readonly Lazy<ModelProto?> evalModel, optimizerModel;
    private readonly string prefix;

    private ArtifactFolder(string directory, string? source)
    {
        Directory = System.IO.Path.GetFullPath(directory);
        if (!System.IO.Directory.Exists(Directory))
            throw new LiftException($"The artifact folder '{directory}' does not exist; make it with `lift prepare MODEL -o {directory}`.");
        prefix = ForeignLayouts.Prefix(Directory);
        TrainingModel = ReadModel(ArtifactNames.TrainingModel) ??
            throw new LiftException($"'{directory}' holds no {ArtifactNames.TrainingModel}; make the folder with `lift prepare`.");
        ForeignLayouts.Check(Path(ArtifactNames.Checkpoint), prefix);
        Checkpoint = CheckpointFile.Read(Path(ArtifactNames.Checkpoint));
        string record = Path(ArtifactNames.Record);
        Record = File.Exists(record) ? ArtifactRecord.Read(record) : RecordOfOthers.Derive(TrainingModel, Checkpoint);
        Source = source ?? Record.Source;
        FolderCheck.Check(this);
        parameters = new(ReadParameters);
        evalModel = new(() => ReadModel(ArtifactNames.EvalModel));
        optimizerModel = new(() => ReadModel(ArtifactNames.OptimizerModel));
    }

    public string Directory { get; }

    public ArtifactRecord Record { get; }

    /// <summary>Path of the source model: as recorded, or as given to <see cref="Open"/>.</summary>
    public string? Source { get; }

    /// <summary>The checkpoint as it lies in the folder; names only where the record says that the values are elsewhere.</summary>
    public CheckpointFile Checkpoint { get; }

    public ModelProto TrainingModel { get; }

    /// <summary>The eval model, or null when the folder has none.</summary>
    public ModelProto? EvalModel => evalModel.Value;

    /// <summary>The optimizer model, or null when the folder has none; <see cref="OptimizerRecipe"/> reads it.</summary>
    public ModelProto? OptimizerModel => optimizerModel.Value;

    /// <summary>The values of all parameters by name, wherever they lie; files stay mapped.</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => parameters.Value;

    /// <summary>Writes a training graph as a folder. An existing folder's files are replaced once all new ones are on disk, and stay as they are when that fails.</summary>
    /// <param name="source">Path of the model that <paramref name="graph"/> was built from; recorded with its SHA-256.</param>
    /// <exception cref="LiftException">The folder cannot be written, or the model's names collide with the training API's.</exception>
    public static ArtifactFolder Create(TrainingGraph graph, string source, string directory, ArtifactOptions? options = null)
    {
        new ArtifactWriter(graph, options ?? new()).Write(source, directory);
        return Open(directory);
    }

    /// <summary>Opens and checks a folder.</summary>
    /// <param name="source">The source model where it moved; null takes the recorded path.</param>
    /// <exception cref="LiftException">A file is missing, broken or does not belong to the others; one sentence says which.</exception>
    public static ArtifactFolder Open(string directory, string? source = null) => new(directory, source);

    /// <summary>Where a file of the folder lies; the prefix that its maker gave to all names comes in front.</summary>
    public string Path(string file) => System.IO.Path.Combine(Directory, prefix + file);

    /// <summary>Writes this folder with other values: a run's weights and optimizer state as genuine artifacts.</summary>
    /// <param name="weights">New values by name; parameters that are absent keep theirs.</param>
    /// <param name="state">Steps done and the moments of every trainable parameter; null starts the optimizer afresh.</param>
    /// <param name="properties">User properties (long, float or string).</param>
    /// <exception cref="LiftException">The folder cannot be written.</exception>
    public ArtifactFolder Save(IEnumerable<Tensor> weights, string directory, OptimizerGroup? state = null, IReadOnlyDictionary<string, object>? properties = null)
    {
        var values = weights.ToDictionary(w => w.Name);
        Tensor Current(Tensor parameter) => values.TryGetValue(parameter.Name, out Tensor? value) ? value : Parameters[parameter.Name];
        ParameterStorage storage = Record.Storage == ParameterStorage.Source ? ParameterStorage.Data : Record.Storage;
        var checkpoint = new CheckpointFile
        {
            Version = Checkpoint.Version,
            Trainable = [.. Checkpoint.Trainable.Select(Current)],
            Frozen = [.. Checkpoint.Frozen.Select(Current)],
            Groups = state is null ? [] : [state],
            Properties = properties ?? Checkpoint.Properties,
        };
        ArtifactWriter.WriteWhole(directory, folder =>
        {
            foreach (string model in (string[])[ArtifactNames.TrainingModel, ArtifactNames.EvalModel, ArtifactNames.OptimizerModel])
            {
                if (File.Exists(Path(model))) File.Copy(Path(model), System.IO.Path.Combine(folder, model));
            }
            checkpoint.Write(System.IO.Path.Combine(folder, ArtifactNames.Checkpoint), externalData: storage == ParameterStorage.Data);
            if (Record.Source is not null) File.WriteAllBytes(System.IO.Path.Combine(folder, ArtifactNames.Record), (Record with { Storage = storage }).ToJson());
        });
        return Open(directory);
    }

    private ModelProto? ReadModel(string file)
    {
        string path = Path(file);
        if (!File.Exists(path)) return null;
        try
        {
            using FileStream stream = File.OpenRead(path);
            ModelProto model = ModelProto.Parser.ParseFrom(stream);
            return model.Graph is { Node.Count: > 0 } ? model : throw new LiftException($"'{path}' holds no graph; prepare the model again.");
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or IOException or UnauthorizedAccessException)
        {
            throw new LiftException($"'{path}' is no readable ONNX model: {e.Message} Prepare the model again.", e);
        }
    }

    private IReadOnlyDictionary<string, Tensor> ReadParameters()
    {
        if (!Checkpoint.IsNominal) return Checkpoint.Parameters.ToDictionary(p => p.Name);
        if (Record.Storage != ParameterStorage.Source || Source is null)
            throw new LiftException($"The checkpoint in '{Directory}' is nominal: it holds names without values; use a folder with a full checkpoint.");
        if (!File.Exists(Source))
            throw new LiftException($"The weights of '{Directory}' lie in '{Source}', which does not exist; say where the model is now with --base.");
        Graph graph = Dequantization.Apply(OnnxFile.Read(Source), Record.Dequantized ?? []).Graph;
        return Checkpoint.Parameters.ToDictionary(p => p.Name, p => graph.Initializers.TryGetValue(p.Name, out Tensor? tensor) && tensor.Type == p.Type ? tensor
            : throw new LiftException($"'{Source}' has no {p.Type} initializer '{p.Name}', so it is not the model that '{Directory}' was made from; say where that is with --base."));
    }
}
