using Google.Protobuf;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Lift.Ort.Sparse;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Lift.Ort.Tests.Operators;

/// <summary>A value for a test: element type, dimensions, and the numbers as double.</summary>
internal sealed record TestTensor(ElementType Type, long[] Dims, double[] Values)
{
    public static TestTensor Of(double value, ElementType type = ElementType.Float) => new(type, [], [value]);

    public static TestTensor Longs(params long[] values) => new(ElementType.Int64, [values.Length], [.. values.Select(v => (double)v)]);

    public TestTensor As(ElementType type) => this with { Type = type };

    /// <summary>The numbers as this 16-bit type holds them.</summary>
    public TestTensor Rounded(ElementType type) => this with { Values = Array.ConvertAll(Values, v => (double)HalfPrecision.Widen(HalfPrecision.Round((float)v, type), type)) };

    public OrtValue ToOrt() => Type switch
    {
        ElementType.Float16 => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(Values, v => new Float16(HalfPrecision.Round((float)v, Type))), Dims),
        ElementType.BFloat16 => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(Values, v => new BFloat16(HalfPrecision.Round((float)v, Type))), Dims),
        ElementType.Float => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(Values, v => (float)v), Dims),
        ElementType.Double => OrtValue.CreateTensorValueFromMemory(Values.ToArray(), Dims),
        ElementType.Int64 => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(Values, v => (long)v), Dims),
        ElementType.Int32 => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(Values, v => (int)v), Dims),
        ElementType.Bool => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(Values, v => v != 0), Dims),
        ElementType.UInt8 => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(Values, v => (byte)v), Dims),
        _ => throw new NotSupportedException(Type.ToString()),
    };

    public static TestTensor From(OrtValue value)
    {
        var info = value.GetTensorTypeAndShape();
        double[] values = info.ElementDataType switch
        {
            TensorElementType.Float => Array.ConvertAll(value.GetTensorDataAsSpan<float>().ToArray(), v => (double)v),
            TensorElementType.Double => value.GetTensorDataAsSpan<double>().ToArray(),
            TensorElementType.Float16 => Array.ConvertAll(value.GetTensorDataAsSpan<Float16>().ToArray(), v => (double)HalfPrecision.Widen(v.value, ElementType.Float16)),
            TensorElementType.BFloat16 => Array.ConvertAll(value.GetTensorDataAsSpan<BFloat16>().ToArray(), v => (double)HalfPrecision.Widen(v.value, ElementType.BFloat16)),
            TensorElementType.Int64 => Array.ConvertAll(value.GetTensorDataAsSpan<long>().ToArray(), v => (double)v),
            TensorElementType.Int32 => Array.ConvertAll(value.GetTensorDataAsSpan<int>().ToArray(), v => (double)v),
            TensorElementType.Bool => Array.ConvertAll(value.GetTensorDataAsSpan<bool>().ToArray(), v => v ? 1.0 : 0.0),
            var other => throw new NotSupportedException(other.ToString()),
        };
        return new TestTensor((ElementType)info.ElementDataType, info.Shape, values);
    }
}

/// <summary>A model of one node, run in a stock session: with the C# operators, or with a fallback function in the file instead.</summary>
internal sealed record OneNode(string Operator, params (string Name, object Value)[] Attributes)
{
    public string Domain { get; init; } = "com.microsoft";

    public int Opset { get; init; } = 17;

    /// <summary>Put into the model beside the node.</summary>
    public FunctionProto? Function { get; init; }

    /// <summary>False opens a session without the C# operators.</summary>
    public bool Registered { get; init; } = true;

    /// <summary>Where it runs; null: ONNX Runtime's CPU provider with the CPU halves.</summary>
    public IDevice? Device { get; init; }

    /// <summary>How many outputs the node has.</summary>
    public int Outputs { get; init; } = 1;

    /// <summary>Output indices that the node leaves out.</summary>
    public int[] Absent { get; init; } = [];

    /// <summary>Dimensions declared for the outputs, the batch as a symbol; default: none.</summary>
    public long[]? OutputDims { get; init; }

    /// <summary>Element type declared for the outputs; default: none, ONNX Runtime infers it.</summary>
    public ElementType? OutputType { get; init; }

    /// <summary>Runs on these inputs; null is an input left out.</summary>
    public TestTensor[] Run(params TestTensor?[] inputs)
    {
        using var options = new SessionOptions { IntraOpNumThreads = 2, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
        Device?.AddTo(options);
        if (Registered && Device is null) TrainingOperators.AddTo(options);
        else if (Registered) TrainingOperators.AddTo(options, Device!);
        using var session = new InferenceSession(Model(inputs).ToByteArray(), options);
        using var run = new RunOptions();
        var named = inputs.Index().Where(i => i.Item is not null).ToDictionary(i => $"in{i.Index}", i => i.Item!.ToOrt());
        using var results = session.Run(run, named, [.. session.OutputMetadata.Keys]);
        foreach (OrtValue value in named.Values) value.Dispose();
        return [.. results.Select(TestTensor.From)];
    }

    public ModelProto Model(TestTensor?[] inputs)
    {
        var node = new NodeProto { OpType = Operator, Domain = Domain, Name = "tested" };
        foreach (var (name, value) in Attributes) node.Attribute.Add(Attribute(name, value));
        var graph = new GraphProto { Name = "one" };
        for (int i = 0; i < inputs.Length; i++)
        {
            node.Input.Add(inputs[i] is null ? "" : $"in{i}");
            if (inputs[i] is { } tensor) graph.Input.Add(Info($"in{i}", tensor.Type, tensor.Dims.Length));
        }

        for (int i = 0; i < Outputs; i++)
        {
            bool absent = Absent.Contains(i);
            node.Output.Add(absent ? "" : $"out{i}");
            if (!absent) graph.Output.Add(new ValueInfoProto { Name = $"out{i}" });
        }
        if (OutputType is { } type)
            foreach (var o in graph.Output) o.Type = new() { TensorType = new() { ElemType = (int)type } };
        if (OutputDims is { } dims)
        {
            foreach (var o in graph.Output)
            {
                o.Type = new() { TensorType = new() { ElemType = (int)inputs[0]!.Type, Shape = new() } };
                o.Type.TensorType.Shape.Dim.AddRange(dims.Select((d, i) => i == 0 ? new TensorShapeProto.Types.Dimension { DimParam = "batch" } : new() { DimValue = d }));
            }
        }
        graph.Node.Add(node);
        var model = new ModelProto { IrVersion = 8, Graph = graph };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = Opset });
        if (Domain.Length > 0) model.OpsetImport.Add(new OperatorSetIdProto { Domain = Domain, Version = 1 });
        if (Function is not null) model.Functions.Add(Function);
        return model;
    }

    private static ValueInfoProto Info(string name, ElementType type, int rank)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = new() };
        for (int d = 0; d < rank; d++) tensor.Shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = $"{name}_{d}" });
        return new ValueInfoProto { Name = name, Type = new() { TensorType = tensor } };
    }

    private static AttributeProto Attribute(string name, object value)
    {
        var node = new Node("", "", [], []);
        _ = value switch
        {
            int i => node.With(name, (long)i),
            long l => node.With(name, l),
            float f => node.With(name, f),
            string s => node.With(name, s),
            long[] v => node.With(name, v),
            _ => throw new NotSupportedException(value.GetType().Name),
        };
        return node.Attributes[name];
    }
}
