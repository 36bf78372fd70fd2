using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Onnx;

/// <summary>Makes small model files message by message, so that tests can have old forms and broken ones.</summary>
internal sealed class SampleModel
{
    public SampleModel(int opset = 17)
    {
        Proto = new ModelProto { IrVersion = 7, Graph = new GraphProto { Name = "sample" } };
        Proto.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = opset });
    }

    public ModelProto Proto { get; }

    public GraphProto Graph => Proto.Graph;

    /// <summary>x [2,3,4] → Relu → y, with the [4,5] weight w behind it: y = relu(x)·w.</summary>
    public static SampleModel Small()
    {
        var model = new SampleModel().Input("x", 1, 2, 3, 4).Output("y", 1);
        model.Float("w", [4, 5], i => (i * 0.25f) - 2);
        return model.Node("Relu", ["x"], ["r"]).Node("MatMul", ["r", "w"], ["y"]);
    }

    public SampleModel Input(string name, int type, params object[] dims)
    {
        Graph.Input.Add(Value(name, type, dims));
        return this;
    }

    public SampleModel Output(string name, int type)
    {
        Graph.Output.Add(Value(name, type, null));
        return this;
    }

    public SampleModel Node(string op, string[] inputs, string[] outputs, params AttributeProto[] attributes)
    {
        var node = new NodeProto { OpType = op, Name = $"{op}_{Graph.Node.Count}" };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        node.Attribute.AddRange(attributes);
        Graph.Node.Add(node);
        return this;
    }

    public TensorProto Float(string name, long[] dims, Func<int, float> value)
    {
        float[] values = [.. Enumerable.Range(0, (int)dims.Aggregate(1L, (a, b) => a * b)).Select(value)];
        var tensor = new TensorProto { Name = name, DataType = 1, RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<float>(values)) };
        tensor.Dims.AddRange(dims);
        Graph.Initializer.Add(tensor);
        return tensor;
    }

    public static AttributeProto Ints(string name, params long[] values)
    {
        var a = new AttributeProto { Name = name, Type = AttributeProto.Types.AttributeType.Ints };
        a.Ints.AddRange(values);
        return a;
    }

    public static AttributeProto Int(string name, long value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = value };

    public static AttributeProto Number(string name, float value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Float, F = value };

    public string Save(string path)
    {
        File.WriteAllBytes(path, Proto.ToByteArray());
        return path;
    }

    /// <summary>Runs a file in ONNX Runtime with ramps as float inputs; the outputs as floats.</summary>
    public static List<float[]> Run(string path, float scale = 0.1f)
    {
        using var options = new SessionOptions { GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL, IntraOpNumThreads = 1 };
        using var session = new InferenceSession(path, options);
        var inputs = session.InputMetadata.ToDictionary(i => i.Key, i =>
        {
            long[] dims = [.. i.Value.Dimensions.Select(d => d < 0 ? 2L : d)];
            return OrtValue.CreateTensorValueFromMemory(Enumerable.Range(0, (int)dims.Aggregate(1L, (a, b) => a * b)).Select(n => (scale * n) - 1).ToArray(), dims);
        });
        using var run = new RunOptions();
        using var results = session.Run(run, inputs, [.. session.OutputMetadata.Keys]);
        return [.. results.Select(r => r.GetTensorDataAsSpan<float>().ToArray())];
    }

    public static ValueInfoProto Value(string name, int type, object[]? dims)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = type };
        if (dims is not null)
        {
            tensor.Shape = new();
            foreach (object d in dims) tensor.Shape.Dim.Add(d is string s ? new TensorShapeProto.Types.Dimension { DimParam = s } : new() { DimValue = Convert.ToInt64(d) });
        }
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
    }
}
