using Google.Protobuf;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Lowering.Decoders;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Writing;
using Lift.Ort.Operators;
using Microsoft.ML.OnnxRuntime;
using Tensor = Lift.Ort.Onnx.Tensor;

namespace Lift.Ort.Sessions;

/// <summary>Opens a model file as its users will run it: in a session without operators of ours, except where a CPU has to widen bfloat16.</summary>
internal static class PlainSession
{
    /// <summary>The file in a session; a bfloat16 model on a device that cannot compute it, widened: its weights stay 16-bit in the mapped file and are inputs.</summary>
    /// <param name="graph">The file as our reader reads it; null where it cannot.</param>
    /// <returns>The session, and the weights that it takes as inputs.</returns>
    /// <exception cref="LiftException">ONNX Runtime refuses the file, or it is no sound model.</exception>
    public static (InferenceSession Session, Tensor[] Weights) Open(string path, Graph? graph, IDevice device)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        device.AddTo(options);
        try
        {
            Tensor[] narrow = [.. (device.Computes16Bit ? null : graph)?.Initializers.Values.Where(t => t.Type == ElementType.BFloat16) ?? []];
            if (narrow.Length == 0) return (new InferenceSession(path, options), []);
            TrainingOperators.AddTo(options, device);
            ModelProto wide = Widening.Run(GraphWriter.ToModel(ArtifactWriter.WithInputs(WithWideCache(graph!), narrow)), operators: true);
            return (new InferenceSession(wide.ToByteArray(), options), narrow);
        }
        catch (OnnxRuntimeException e)
        {
            OnnxFile.Read(path); // where the file is at fault, this names the place
            throw new LiftException($"ONNX Runtime does not take '{path}': {e.Message}", e);
        }
    }

    /// <summary>The graph, or null: ONNX Runtime knows operators that our reader does not, and running needs no graph.</summary>
    public static Graph? TryRead(string path)
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

    /// <summary>An input or output's type as ONNX Runtime tells it.</summary>
    public static TensorType TypeOf(NodeMetadata value) => !value.IsTensor ? TensorType.Unknown
        : new((ElementType)(int)value.ElementDataType, new Shape([.. value.Dimensions.Zip(value.SymbolicDimensions).Select(d => d.First >= 0 ? d.First : d.Second.Length > 0 ? (Dim)d.Second : Dim.Unknown)]));

    /// <summary>A widened model puts its cache out in float32, and so it takes it in.</summary>
    private static Graph WithWideCache(Graph graph)
    {
        Graph copy = graph.Clone();
        copy.Domains["com.microsoft"] = 1; // ONNX Runtime's own optimisations use it, and refuse a model that does not import it once operators of ours are registered
        for (int i = 0; i < copy.Inputs.Count; i++)
        {
            GraphValue input = copy.Inputs[i];
            if (CacheEntry.IsPast(input) && input.Type.Element is ElementType.BFloat16 or ElementType.Float16) copy.Inputs[i] = input with { Type = input.Type with { Element = ElementType.Float } };
        }
        return copy;
    }
}
