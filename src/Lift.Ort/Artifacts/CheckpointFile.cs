using Lift.Ort.Onnx;

namespace Lift.Ort.Artifacts;

/// <summary>AdamW's or SGD's state of one optimizer group; ONNX Runtime knows one group, <c>group0</c>.</summary>
public sealed record OptimizerGroup(string Name, long Step, float InitialLearningRate, IReadOnlyList<ParameterMoments> States);

/// <summary>The moments of one parameter: tensors called <c>momentum0</c> (first) and <c>momentum1</c> (second), shaped like the parameter.</summary>
public sealed record ParameterMoments(string Parameter, IReadOnlyList<Tensor> Moments);

/// <summary>
/// A training checkpoint in ONNX Runtime's own format: a FlatBuffer with the identifier <c>ODTC</c> that holds the trainable and frozen
/// parameters, optimizer state and properties. Reading maps the file, so tensors point into it; writing streams tensors from where they lie.
/// </summary>
public sealed record CheckpointFile
{
    /// <summary>2 for ONNX Runtime 1.18 and 1.19 (the default), 1 for 1.17.</summary>
    public int Version { get; init; } = 2;

    /// <summary>True when only names and types are there; tensors have the dimensions [0].</summary>
    public bool IsNominal { get; init; }

    public IReadOnlyList<Tensor> Trainable { get; init; } = [];

    public IReadOnlyList<Tensor> Frozen { get; init; } = [];

    public IReadOnlyList<OptimizerGroup> Groups { get; init; } = [];

    /// <summary>User properties: values are long, float or string.</summary>
    public IReadOnlyDictionary<string, object> Properties { get; init; } = new Dictionary<string, object>();

    /// <summary>All parameters by name.</summary>
    public IEnumerable<Tensor> Parameters => Trainable.Concat(Frozen);

    /// <summary>Maps and checks the file <paramref name="path"/>, and <c>PATH.data</c> where the checkpoint says so.</summary>
    /// <exception cref="LiftException">The file is missing, no checkpoint, of another version, truncated or otherwise broken.</exception>
    public static CheckpointFile Read(string path) => new CheckpointReader(path).Read();

    /// <summary>Writes the file; above 2 GB (or where <paramref name="externalData"/> asks for it) the tensors' bytes go to <c>PATH.data</c>. Both appear whole or not at all.</summary>
    /// <exception cref="LiftException">Version 1 cannot hold external data; the disk is full or the folder is read-only.</exception>
    public void Write(string path, bool externalData = false) => CheckpointWriter.Write(this, path, externalData);
}
