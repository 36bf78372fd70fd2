using System.Security.Cryptography;
using Google.Protobuf;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Reading;
using Lift.Ort.Onnx.Writing;

namespace Lift.Ort.Artifacts;

/// <summary>How a folder is written.</summary>
public sealed record ArtifactOptions
{
    /// <summary>2 (the default) for ONNX Runtime 1.18 and 1.19, 1 for 1.17.</summary>
    public int CheckpointVersion { get; init; } = 2;

    public OptimizerSettings Optimizer { get; init; } = new();

    /// <summary>Where the parameters' values go; null (the default) takes the checkpoint where ONNX Runtime can read it (up to 2 GB, no 16-bit weights) and the source model's file otherwise.</summary>
    public ParameterStorage? Storage { get; init; }

    /// <summary>Bytes of parameters above which a checkpoint is no longer chosen; FlatBuffers end at 2 GB.</summary>
    public long CheckpointLimit { get; init; } = int.MaxValue - (1L << 24);
}

/// <summary>Writes a training graph as a folder of artifacts. Nothing in the folder changes before every file is written.</summary>
internal sealed class ArtifactWriter
{
    /// <summary>Frozen float initializers of fewer elements stay constants of the models: scales, bounds and axes of operators, which some operators must know in advance.</summary>
    private const int SmallestFrozen = 16;

    /// <summary>Bytes from which on quantized weights are parameters.</summary>
    private const int SmallestQuantized = 4096;

    private readonly TrainingGraph graph;
    private readonly ArtifactOptions options;
    private readonly List<Tensor> trainable, frozen;

    public ArtifactWriter(TrainingGraph graph, ArtifactOptions options)
    {
        (this.graph, this.options) = (graph, options);
        var names = graph.Trainable.Select(w => w.Name).ToHashSet();
        trainable = [.. graph.Trainable.Select(w => w.Value)];
        var statistics = graph.Statistics.Select(s => s.Name).ToHashSet();
        frozen = [.. graph.Forward.Initializers.Values.Where(t => (IsParameter(t) || statistics.Contains(t.Name)) && !names.Contains(t.Name))];
        foreach (GraphValue input in graph.Forward.Inputs)
        {
            if (ArtifactNames.IsGradient(input.Name) || input.Name == ArtifactNames.ResetFlag)
                throw new LiftException($"The model's input '{input.Name}' has a name that ONNX Runtime's training API takes for a gradient; rename the input and export the model again.");
        }
    }

    public void Write(string source, string directory)
    {
        ParameterStorage storage = options.Storage ?? ChooseStorage();
        if (storage == ParameterStorage.Checkpoint && trainable.Concat(frozen).FirstOrDefault(t => t.Type is ElementType.Float16 or ElementType.BFloat16) is { } half)
            throw new LiftException($"'{half.Name}' is {half.Type}, which ONNX Runtime's checkpoints cannot hold; store the values in the source model's file or in checkpoint.data.");
        CheckDequantized(source);
        WriteWhole(directory, folder =>
        {
            OnnxFile.Write(Training(), Path.Combine(folder, ArtifactNames.TrainingModel));
            OnnxFile.Write(Eval(), Path.Combine(folder, ArtifactNames.EvalModel));
            WriteBytes(Path.Combine(folder, ArtifactNames.OptimizerModel), OptimizerModel.Make(options.Optimizer).ToByteArray());
            new CheckpointFile { Version = options.CheckpointVersion, Trainable = trainable, Frozen = frozen, IsNominal = storage == ParameterStorage.Source }
                .Write(Path.Combine(folder, ArtifactNames.Checkpoint), externalData: storage == ParameterStorage.Data);
            WriteBytes(Path.Combine(folder, ArtifactNames.Record), Record(source, storage).ToJson());
        });
    }

    /// <summary>Layers that became float can be exported as such where the file has their nodes in its graph, not in functions that several layers may call.</summary>
    private void CheckDequantized(string source)
    {
        if (graph.Dequantized.Count == 0) return;
        HashSet<string> made = [.. Outputs(new Skeleton(new MappedFile(source)).Model.Graph)];
        if (graph.Dequantized.FirstOrDefault(d => !made.Contains(d.Layer.Node.Outputs[0])) is { } lost)
            throw new LiftException($"The layer '{lost.Layer.Layer}' of '{source}' lies inside a function of the file, where it cannot be stored as float: inline the functions first (onnx.inliner.inline_local_functions), or leave the layer quantized.");

        static IEnumerable<string> Outputs(GraphProto g) => g.Node.SelectMany(n => n.Output.Concat(n.Attribute.SelectMany(SubgraphNames.Of).SelectMany(Outputs)));
    }

    /// <summary>Lets <paramref name="write"/> fill a temporary folder and then moves the files into place; a failure before leaves the folder as it was.</summary>
    public static void WriteWhole(string directory, Action<string> write)
    {
        bool existed = Directory.Exists(directory);
        string temporary = Path.Combine(directory, $".new-{Guid.NewGuid():N}");
        try
        {
            Directory.CreateDirectory(temporary);
            write(temporary);
            string data = Path.Combine(directory, ArtifactNames.Checkpoint + ".data");
            if (!File.Exists(Path.Combine(temporary, ArtifactNames.Checkpoint + ".data"))) File.Delete(data);
            foreach (string file in Directory.GetFiles(temporary)) File.Move(file, Path.Combine(directory, Path.GetFileName(file)), overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LiftException($"The artifact folder '{directory}' cannot be written: {e.Message.TrimEnd('.')}; name another folder, or free space.", e);
        }
        finally
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
            if (!existed && Directory.Exists(directory) && !Directory.EnumerateFileSystemEntries(directory).Any()) Directory.Delete(directory);
        }
    }

    private static void WriteBytes(string path, byte[] bytes) => SafeFile.Write([path], streams => streams[0].Write(bytes));

    private ParameterStorage ChooseStorage()
    {
        bool genuine = trainable.Concat(frozen).Sum(t => t.ByteLength) <= options.CheckpointLimit && trainable.TrueForAll(t => t.Type is ElementType.Float or ElementType.Double)
            && frozen.TrueForAll(t => t.Type is ElementType.Float or ElementType.Double or ElementType.UInt8 or ElementType.Int8);
        return genuine ? ParameterStorage.Checkpoint : ParameterStorage.Source;
    }

    /// <summary>Parameters as inputs, in the order that both models must share: trainable, then frozen.</summary>
    private Graph WithParameterInputs(Graph graph) => WithInputs(graph, trainable.Concat(frozen));

    /// <summary>A copy in which <paramref name="parameters"/> are inputs instead of initializers.</summary>
    public static Graph WithInputs(Graph graph, IEnumerable<Tensor> parameters)
    {
        Graph copy = graph.Clone();
        foreach (Tensor parameter in parameters)
        {
            copy.Initializers.Remove(parameter.Name);
            copy.Inputs.Add(new(parameter.Name, parameter.TensorType));
        }
        return copy;
    }

    /// <summary>True for initializers that hold real weights: floats, unless they are few, and quantized ones that would make the models large.</summary>
    public static bool IsParameter(Tensor tensor) => tensor.Type.IsFloat() ? tensor.Count >= SmallestFrozen : tensor.Type.Bits() is > 0 and <= 16 && tensor.Type != ElementType.Bool && tensor.ByteLength >= SmallestQuantized;

    private Graph Eval() => WithParameterInputs(graph.Forward);

    private Graph Training()
    {
        Graph model = WithParameterInputs(graph.Training);
        if (model.Nodes.Exists(n => n.Outputs.Contains(ArtifactNames.ResetFlag))) ValueNames.Replace(model, ArtifactNames.ResetFlag, model.NewName($"{ArtifactNames.ResetFlag}_of_model"));
        GraphValue[] results = [.. graph.Training.Outputs.Take(graph.Training.Outputs.Count - trainable.Count)]; // loss, what is scored, each of several losses, running statistics
        model.Outputs.Clear();
        model.Outputs.AddRange(results);
        var flag = new TensorType(ElementType.Bool, Shape.Of([1]));
        foreach (Tensor weight in trainable)
        {
            string buffer = ArtifactNames.Buffer(weight.Name), updated = ArtifactNames.Updated(weight.Name);
            model.Inputs.Add(new(buffer, new(ElementType.Float, Shape.Of(weight.Dims))));
            model.Nodes.Add(new Node(ArtifactNames.Accumulator, "com.microsoft", [buffer, ArtifactNames.Gradient(weight.Name), ArtifactNames.ResetFlag], [updated], updated));
            model.Outputs.Add(new(updated, flag));
        }
        model.Inputs.Add(new(ArtifactNames.ResetFlag, flag));
        foreach (Tensor weight in trainable) model.Outputs.Add(new(ArtifactNames.Gradient(weight.Name), new(ElementType.Float, Shape.Of(weight.Dims))));
        model.Domains["com.microsoft"] = 1;
        IEnumerable<Node> WithInner(Node node) => node.Subgraphs.SelectMany(g => g.Node).Select(Node.Of).SelectMany(WithInner).Prepend(node);
        foreach (var uses in model.Nodes.SelectMany(WithInner).Where(n => n.Domain == "com.microsoft").GroupBy(n => n.OpType))
        {
            if (uses.All(FallbackFunctions.CanUse) && FallbackFunctions.For(uses.Key, model.Opset) is { } function) model.Functions.Add(function);
        }
        return model;
    }

    private ArtifactRecord Record(string source, ParameterStorage storage)
    {
        using FileStream stream = File.OpenRead(source);
        return new()
        {
            Source = Path.GetFullPath(source),
            SourceSha256 = Convert.ToHexStringLower(SHA256.HashData(stream)),
            Loss = graph.Terms[0].Loss,
            LossOptions = graph.Terms[0].Options,
            LossOutput = graph.Loss,
            Scored = graph.Scored,
            Labels = graph.Terms[0].Labels ?? ArtifactNames.Labels,
            Classes = graph.Terms[0].Classes,
            Terms = graph.Options.Terms.Count > 0 || graph.Terms[0].Outputs.Count > 1 ? graph.Terms : null,
            Inputs = [.. graph.Forward.Inputs.Select(i => i.Name)],
            Weights = [.. graph.Trainable.Select(w => new WeightRecord(w.Name, w.Layer, w.Value.Dims, w.Value.Type))],
            LongestText = graph.LongestText,
            Dequantized = graph.Dequantized.Count > 0 ? [.. graph.Dequantized.Select(d => d.Layer.Weight)] : null,
            Statistics = graph.Statistics.Count > 0 ? graph.Statistics : null,
            Storage = storage,
        };
    }
}
