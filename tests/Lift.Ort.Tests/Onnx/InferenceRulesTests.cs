using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Onnx;

[TestClass]
public sealed class InferenceRulesTests
{
    public static IEnumerable<object[]> Operators => ShapeInference.Operators.Order().Select(o => new object[] { o });

    /// <summary>Each case runs with numbers and with symbols for the inputs' dimensions; what is inferred must hold for what ONNX Runtime makes.</summary>
    [TestMethod, DynamicData(nameof(Operators))]
    public void What_a_rule_says_is_what_ONNX_Runtime_makes(string op)
    {
        InferenceCase[] cases = [.. InferenceCases.All.Where(c => c.Operator == op)];
        Assert.IsNotEmpty(cases, $"{op} has an inference rule but no case");
        foreach (InferenceCase c in cases) Check(c);
    }

    private static void Check(InferenceCase c)
    {
        Graph graph = Make(c, symbolic: false);
        string[] outputs = [.. graph.Nodes[0].Outputs];
        if (c.Expected is { } expected)
        {
            CollectionAssert.AreEqual(expected, outputs.Select(o => graph.TypeOf(o).ToString()).ToArray(), c.Operator);
            return;
        }
        using var temp = TestFiles.Temp();
        OnnxFile.Write(graph, temp["case.onnx"]);
        using var options = new SessionOptions { GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL, IntraOpNumThreads = 1, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        using var session = new InferenceSession(temp["case.onnx"], options);
        var inputs = graph.Inputs.ToDictionary(i => i.Name, i => Value(i.Type));
        using var run = new RunOptions();
        using var results = session.Run(run, inputs, outputs);
        foreach (Graph inferred in new[] { graph, Make(c, symbolic: true) })
        {
            var symbols = new Symbols();
            foreach (var (name, value) in inputs) symbols.Check(name, inferred.TypeOf(name), value);
            for (int i = 0; i < outputs.Length; i++)
            {
                TensorType type = inferred.TypeOf(outputs[i]);
                bool rankDependsOnASymbol = c.Operator == "GatherND" && inferred != graph;
                Assert.IsTrue(type.Shape is not null || rankDependsOnASymbol, $"{c.Operator}: the rank of {outputs[i]} is unknown");
                Assert.AreNotEqual(ElementType.Undefined, type.Element, c.Operator);
                symbols.Check($"{c.Operator} {outputs[i]}", type, results[i]);
                symbols.CheckContent(inferred, outputs[i], results[i]);
            }
        }
        Assert.IsTrue(outputs.All(o => graph.TypeOf(o).Shape!.IsStatic) || c.Operator is "NonZero" or "Compress" or "If", $"{c.Operator}: dimensions that follow from numbers are not numbers: {graph.TypeOf(outputs[0])}");
    }

    private static Graph Make(InferenceCase c, bool symbolic)
    {
        var graph = new Graph { Opset = c.Opset };
        var names = new List<string>();
        foreach (CaseInput? input in c.Inputs)
        {
            string name = input is null ? "" : $"x{names.Count}";
            names.Add(name);
            if (input?.Values is { } values) graph.Initializers.Add(name, Constant(name, input, values));
            else if (input is not null) graph.Inputs.Add(new(name, new(input.Type, new Shape([.. input.Dims.Select(d => symbolic ? $"n{d}" : (Dim)d)]))));
        }
        string[] parts = c.Operator.Split('.');
        var node = new Node(parts[^1], string.Join('.', parts[..^1]), names, Enumerable.Range(0, c.Outputs).Select(i => $"y{i}"));
        c.Attributes?.Invoke(node);
        if (node.Domain.Length > 0) graph.Domains[node.Domain] = 1;
        graph.Nodes.Add(node);
        ShapeInference.Infer(graph);
        graph.Outputs.AddRange(node.Outputs.Select(o => new GraphValue(o, graph.TypeOf(o) with { Shape = null })));
        return graph;
    }

    private static Tensor Constant(string name, CaseInput input, double[] values) => input.Type switch
    {
        ElementType.Int64 => Tensor.From<long>(name, [.. values.Select(v => v == double.MaxValue ? long.MaxValue : (long)v)], input.Dims),
        ElementType.UInt8 => Tensor.From<byte>(name, [.. values.Select(v => (byte)v)], input.Dims),
        _ => Tensor.From<float>(name, [.. values.Select(v => (float)v)], input.Dims),
    };

    private static OrtValue Value(TensorType type)
    {
        long[] dims = [.. type.Shape!.Dims.Select(d => d.Value!.Value)];
        int count = (int)type.Shape.Count!.Value;
        T[] Ramp<T>(Func<int, T> value) => [.. Enumerable.Range(0, count).Select(value)];
        return type.Element switch
        {
            ElementType.Int64 => OrtValue.CreateTensorValueFromMemory(Ramp(i => (long)(i % 2)), dims),
            ElementType.UInt8 => OrtValue.CreateTensorValueFromMemory(Ramp(i => (byte)(i % 2)), dims),
            ElementType.Bool => OrtValue.CreateTensorValueFromMemory(Ramp(i => i % 2 == 0), dims),
            _ => OrtValue.CreateTensorValueFromMemory(Ramp(i => 0.1f + (0.8f * i / count)), dims),
        };
    }
}
