using Google.Protobuf;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Writing;
using Lift.Ort.Sessions;
using Microsoft.ML.OnnxRuntime;
using Tensor = Lift.Ort.Onnx.Tensor;

namespace Lift.Ort.Generation;

/// <summary>An exported model in a plain ONNX Runtime session: batches in, one output (logits, scores) out. What training made is judged here as its users will run it.</summary>
public sealed unsafe class ExportedModel : IDisposable
{
    private readonly InferenceSession session;
    private readonly RunOptions run = new();
    private readonly Tensor[] weights; // those that the session takes as inputs

    private ExportedModel(string path, InferenceSession session, Tensor[] weights, string? output)
    {
        (Path, this.session, this.weights) = (path, session, weights);
        Inputs = [.. session.InputMetadata.Where(i => weights.All(w => w.Name != i.Key)).Select(i => new GraphValue(i.Key, TypeOf(i.Value)))];
        string[] floats = [.. session.OutputMetadata.Where(o => TypeOf(o.Value).Element.IsFloat()).Select(o => o.Key)];
        if (output is not null && !floats.Contains(output)) throw new LiftException($"'{path}' has no float output '{output}'; it has: {string.Join(", ", floats)}.");
        Output = output ?? (floats.Contains("logits") ? "logits" : floats.FirstOrDefault() ?? throw new LiftException($"'{path}' has no float output to score."));
        OutputType = TypeOf(session.OutputMetadata[Output]);
        OutputOperator = Producer(path, Output);
    }

    public string Path { get; }

    /// <summary>The model's inputs, without labels.</summary>
    public IReadOnlyList<GraphValue> Inputs { get; }

    /// <summary>Name of the output that is read.</summary>
    public string Output { get; }

    public TensorType OutputType { get; }

    /// <summary>Size of the output's last axis (vocabulary, classes), null where the file does not say.</summary>
    public int? Classes => OutputType.Shape is { Rank: > 0 } shape ? (int?)shape[-1].Value : null;

    /// <summary>Operator that makes the output, for example Softmax; "" where the file cannot be read as a graph.</summary>
    internal string OutputOperator { get; }

    /// <param name="path">An .onnx file, or a folder with model.onnx in it.</param>
    /// <param name="output">Which output to read; default <c>logits</c>, else the first float output.</param>
    /// <exception cref="LiftException">The file is missing or no sound model, or has no such output.</exception>
    public static ExportedModel Open(string path, IDevice device, string? output = null)
    {
        if (Directory.Exists(path)) path = System.IO.Path.Combine(path, "model.onnx");
        if (!File.Exists(path)) throw new LiftException($"There is no model '{path}'; give an .onnx file.");
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        device.AddTo(options);
        try
        {
            var (session, weights) = Start(path, device, options);
            return new ExportedModel(path, session, weights, output);
        }
        catch (OnnxRuntimeException e)
        {
            OnnxFile.Read(path); // where the file is at fault, this names the place
            throw new LiftException($"ONNX Runtime does not take '{path}': {e.Message}", e);
        }
    }

    /// <summary>Runs one batch; dispose the result before the next one to keep memory low.</summary>
    /// <param name="values">By input name; entries that are no input (labels) are left aside.</param>
    /// <exception cref="LiftException">ONNX Runtime cannot run the batch, for example because an id is outside the embedding.</exception>
    public ModelOutput Run(IReadOnlyDictionary<string, Tensor> values)
    {
        string[] names = [.. Inputs.Select(i => i.Name), .. weights.Select(w => w.Name)];
        OrtValue[] inputs = [.. Inputs.Select(i => Value(values[i.Name])), .. weights.Select(Value)];
        try
        {
            return new ModelOutput(session.Run(run, names, inputs, [Output]));
        }
        catch (OnnxRuntimeException e)
        {
            throw new LiftException($"ONNX Runtime could not run '{Path}' on this batch: {e.Message}", e);
        }
        finally
        {
            foreach (var input in inputs) input.Dispose();
            GC.KeepAlive(values);
        }
    }

    public void Dispose()
    {
        session.Dispose();
        run.Dispose();
    }

    /// <summary>The file in a plain session; a bfloat16 model on a device that cannot compute it, widened: its weights stay 16-bit in the mapped file and are inputs.</summary>
    private static (InferenceSession Session, Tensor[] Weights) Start(string path, IDevice device, SessionOptions options)
    {
        Graph? graph = device.Computes16Bit ? null : TryRead(path);
        Tensor[] narrow = [.. graph?.Initializers.Values.Where(t => t.Type == ElementType.BFloat16) ?? []];
        return narrow.Length == 0
            ? (new InferenceSession(path, options), [])
            : (new InferenceSession(Widening.Run(GraphWriter.ToModel(ArtifactWriter.WithInputs(graph!, narrow))).ToByteArray(), options), narrow);
    }

    private static OrtValue Value(Tensor tensor) => OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance,
        (Microsoft.ML.OnnxRuntime.Tensors.TensorElementType)(int)tensor.Type, tensor.Dims, (nint)tensor.Data, tensor.ByteLength);

    private static TensorType TypeOf(NodeMetadata value) => !value.IsTensor ? TensorType.Unknown
        : new((ElementType)(int)value.ElementDataType, new Shape([.. value.Dimensions.Zip(value.SymbolicDimensions).Select(d => d.First >= 0 ? d.First : d.Second.Length > 0 ? (Dim)d.Second : Dim.Unknown)]));

    private static string Producer(string path, string output) => TryRead(path)?.Nodes.Find(n => n.Outputs.Contains(output))?.OpType ?? "";

    /// <summary>The graph, or null: ONNX Runtime knows operators that our reader does not, and scoring needs no graph.</summary>
    private static Graph? TryRead(string path)
    {
        try
        {
            return OnnxFile.Read(path);
        }
        catch (LiftException)
        {
            return null;
        }
    }
}
