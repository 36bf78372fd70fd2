using Lift.Ort.Onnx;
using Lift.Ort.Tests.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Lowering.ControlFlow;

/// <summary>Makes small models with subgraphs, and runs graphs of them.</summary>
internal static class ControlFlowModel
{
    public const int Float = 1, Long = 7, Bool = 9;

    public static AttributeProto Branch(string name, Action<SampleModel> fill)
    {
        var inner = new SampleModel();
        fill(inner);
        inner.Graph.Name = name;
        return new() { Name = name, Type = AttributeProto.Types.AttributeType.Graph, G = inner.Graph };
    }

    public static SampleModel Constant<T>(this SampleModel model, string name, T value, params long[] dims) where T : unmanaged
    {
        TensorProto tensor = value switch
        {
            bool b => new() { DataType = Bool, Int32Data = { b ? 1 : 0 } },
            long l => new() { DataType = Long, Int64Data = { l } },
            _ => new() { DataType = Float, FloatData = { Convert.ToSingle(value) } },
        };
        tensor.Name = name;
        tensor.Dims.AddRange(dims);
        model.Graph.Initializer.Add(tensor);
        return model;
    }

    /// <summary>First output of a file, or of a graph, for x = −1, −0.9, … of the shape given.</summary>
    public static float[] Run(string path, params long[] dims)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        using var session = new InferenceSession(path, options);
        using var x = OrtValue.CreateTensorValueFromMemory([.. Enumerable.Range(0, (int)dims.Aggregate(1L, (a, b) => a * b)).Select(i => i * 0.1f - 1)], dims);
        using var run = new RunOptions();
        using var results = session.Run(run, new Dictionary<string, OrtValue> { ["x"] = x }, [session.OutputMetadata.Keys.First()]);
        return results[0].GetTensorDataAsSpan<float>().ToArray();
    }

    public static float[] Run(Graph graph, params long[] dims)
    {
        using TempFolder temp = TestFiles.Temp();
        OnnxFile.Write(graph, temp["g.onnx"]);
        return Run(temp["g.onnx"], dims);
    }
}
