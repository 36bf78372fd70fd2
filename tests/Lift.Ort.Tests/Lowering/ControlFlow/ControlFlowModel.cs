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

    /// <summary>Ifs in an If, names used again, old forms of operators inside.</summary>
    public static SampleModel Nested()
    {
        var model = new SampleModel(11).Input("x", Float, "n", 4).Output("y", Float).Constant("c", true).Node("Relu", ["x"], ["t"]);
        model.Node("If", ["c"], ["y"], Branch("then_branch", then =>
        {
            then.Node("Neg", ["t"], ["u"]).Constant("no", false);
            then.Node("If", ["no"], ["inner"], Branch("then_branch", g => g.Node("Abs", ["u"], ["v"]).Output("v", Float)), Branch("else_branch", g =>
            {
                g.Node("Unsqueeze", ["u"], ["v"], SampleModel.Ints("axes", 1)).Node("Softmax", ["v"], ["y"], SampleModel.Int("axis", 1)).Node("Squeeze", ["y"], ["z"], SampleModel.Ints("axes", 1)).Output("z", Float);
            }));
            then.Node("Add", ["inner", "t"], ["y"]).Output("y", Float);
        }), Branch("else_branch", g => g.Node("Identity", ["t"], ["e"]).Output("e", Float)));
        return model;
    }

    /// <summary>x ← tanh(x·w), so often, or until a number that doubles reaches a limit.</summary>
    public static SampleModel Loop(int count, float limit)
    {
        var model = new SampleModel().Input("x", Float, 3, 4).Output("y", Float).Output("s", Float).Constant("m", (long)count).Constant("go", true).Constant("start", 1f);
        model.Float("w", [4, 4], i => (i % 5 - 2) * 0.25f);
        model.Node("Loop", ["m", "go", "x", "start"], ["h", "last", "s"], Branch("body", body =>
        {
            body.Input("i", Long).Input("going", Bool).Input("h0", Float, 3, 4).Input("k0", Float);
            body.Constant("two", 2f).Constant("limit", limit);
            body.Node("MatMul", ["h0", "w"], ["hw"]).Node("Tanh", ["hw"], ["h1"]).Node("Mul", ["k0", "two"], ["k1"]).Node("Less", ["k1", "limit"], ["goes"]);
            body.Node("Cast", ["i"], ["f"], SampleModel.Int("to", 1)).Node("Add", ["h1", "f"], ["step"]);
            body.Output("goes", Bool).Output("h1", Float).Output("k1", Float).Output("step", Float);
        }));
        model.Node("ReduceSum", ["s"], ["all"]).Node("Add", ["h", "all"], ["hs"]).Node("Add", ["hs", "last"], ["y"]);
        return model;
    }

    /// <summary>The same over an axis, forwards and backwards.</summary>
    public static SampleModel Scan()
    {
        var model = new SampleModel().Input("x", Float, 5, 3, 4).Output("y", Float);
        model.Float("w", [4, 4], i => (i % 5 - 2) * 0.25f);
        model.Float("h", [5, 4], i => i * 0.1f);
        model.Node("Scan", ["h", "x", "x"], ["last", "all"], SampleModel.Int("num_scan_inputs", 2), SampleModel.Ints("scan_input_axes", 1, 1), SampleModel.Ints("scan_input_directions", 0, 1),
            SampleModel.Ints("scan_output_axes", 2), SampleModel.Ints("scan_output_directions", 1), Branch("body", body =>
        {
            body.Input("h0", Float, 5, 4).Input("a", Float, 5, 4).Input("b", Float, 5, 4);
            body.Node("MatMul", ["h0", "w"], ["hw"]).Node("Add", ["hw", "a"], ["t"]).Node("Tanh", ["t"], ["h1"]).Node("Mul", ["h1", "b"], ["o"]).Output("h1", Float).Output("o", Float);
        }));
        model.Node("Unsqueeze", ["last", "axis"], ["l"]).Node("Add", ["all", "l"], ["y"]);
        model.Constant("axis", 2L, 1);
        return model;
    }

    /// <summary>All of them, by name.</summary>
    public static IEnumerable<(string Name, SampleModel Model)> Samples => [("control nested", Nested()), ("control loop", Loop(3, 1e9f)), ("control scan", Scan())];
}
