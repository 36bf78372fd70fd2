using Lift.Ort.Lowering;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Gradients;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Lowering;

/// <summary>Compares a lowered node with ONNX Runtime's own kernel of the original, with known shapes and with symbols in their place.</summary>
internal static class LoweringCheck
{
    public static void Run(string op, GradientCase c)
    {
        bool integers = Build(op, c, symbolic: false) is var plain && plain.Outputs.All(o => !o.Type.Element.IsFloat() && o.Type.Element != ElementType.Int32);
        Dictionary<string, float[]> expected = c.Expected is { } known ? new(known()) : Outputs(op, c);
        foreach (int index in c.NotCompared) expected.Remove(index == 0 ? "y" : $"y.{index}");
        foreach (bool symbolic in new[] { false, true })
        {
            Graph lowered = LoweredGraph.Of(Build(op, c, symbolic));
            lowered.Opset = Math.Min(lowered.Opset, 21);
            Assert.IsFalse(lowered.Nodes.Exists(n => Lowerings.Has(n.Operator)), $"{op} ({c.Note}): {lowered.Nodes.Where(n => Lowerings.Has(n.Operator)).Select(n => LoweredGraph.WhyNot(lowered, n)).FirstOrDefault()}");
            Dictionary<string, float[]> actual = Evaluate(lowered, c);
            foreach (var (name, values) in expected)
            {
                Assert.AreEqual(values.Length, actual[name].Length, $"{op} ({c.Note}, symbolic {symbolic}): size of output {name}");
                var (start, count) = name == "y" ? c.Compared.GetOffsetAndLength(values.Length) : (0, values.Length);
                for (int i = start; i < start + count; i++) Assert.AreEqual(values[i], actual[name][i], integers ? 1 : c.Tolerance * (1 + Math.Abs(values[i])), $"{op} ({c.Note}, symbolic {symbolic}): output {name}[{i}]");
            }
        }
    }

    /// <summary>What ONNX Runtime's own kernel computes.</summary>
    public static Dictionary<string, float[]> Outputs(string op, GradientCase c) => Evaluate(Build(op, c, symbolic: false), c);

    /// <summary>The node alone; every input that is no small constant of integers is an input of the graph.</summary>
    private static Graph Build(string op, GradientCase c, bool symbolic)
    {
        var graph = new Graph { Opset = c.Opset, IrVersion = 10, Domains = { ["com.microsoft"] = 1 } };
        var inputs = new List<Var?>();
        for (int i = 0; i < c.Inputs.Length; i++)
        {
            Tensor? t = c.Inputs[i]?.Rename($"x{i}");
            inputs.Add(t is null ? null : graph.Var(t.Name));
            if (t is null) continue;
            Shape shape = symbolic ? new([.. t.Dims.Select((d, axis) => c.Known.Contains((i, axis)) ? (Dim)d : (Dim)$"{t.Name}_{axis}")]) : Shape.Of(t.Dims);
            graph.Inputs.Add(new(t.Name, new(t.Type, shape)));
        }
        ShapeInference.InferInputs(graph);
        Var[] outputs = graph.AddMany(op[(op.LastIndexOf('.') + 1)..], c.Outputs, inputs, c.Attributes, op.Contains('.') ? op[..op.LastIndexOf('.')] : "", "y");
        foreach (int absent in c.Absent) graph.Nodes[0].Outputs[absent] = "";
        graph.Outputs.AddRange(outputs.Where(o => graph.Nodes[0].Outputs.Contains(o.Name)).Select(o => new GraphValue(o.Name, new(o.Element == ElementType.Undefined ? ElementType.Float : o.Element, null))));
        return graph;
    }

    private static Dictionary<string, float[]> Evaluate(Graph graph, GradientCase c)
    {
        using var folder = TestFiles.Temp();
        OnnxFile.Write(graph, folder["case.onnx"]);
        using var options = new SessionOptions { IntraOpNumThreads = 1 };
        using var session = new InferenceSession(folder["case.onnx"], options);
        Tensor[] fed = [.. c.Inputs.Select((t, i) => t?.Rename($"x{i}")).Where(t => t is not null && session.InputMetadata.ContainsKey(t.Name)).Select(t => t!)];
        OrtValue[] values = [.. fed.Select(OrtValueOf)];
        using var run = new RunOptions();
        string[] names = [.. graph.Outputs.Select(o => o.Name)];
        using var results = session.Run(run, [.. fed.Select(t => t.Name)], values, names);
        foreach (OrtValue value in values) value.Dispose();
        return names.Zip(results, (n, r) => (n, Floats(r))).ToDictionary(p => p.n, p => p.Item2);
    }

    private static float[] Floats(OrtValue value) => (ElementType)value.GetTensorTypeAndShape().ElementDataType switch
    {
        ElementType.Int32 => Array.ConvertAll(value.GetTensorDataAsSpan<int>().ToArray(), v => (float)v),
        ElementType.UInt8 => Array.ConvertAll(value.GetTensorDataAsSpan<byte>().ToArray(), v => (float)v),
        ElementType.Int8 => Array.ConvertAll(value.GetTensorDataAsSpan<sbyte>().ToArray(), v => (float)v),
        _ => value.GetTensorDataAsSpan<float>().ToArray(),
    };

    private static OrtValue OrtValueOf(Tensor t) => t.Type switch
    {
        ElementType.UInt8 => OrtValue.CreateTensorValueFromMemory(t.AsSpan<byte>().ToArray(), t.Dims),
        ElementType.Int8 => OrtValue.CreateTensorValueFromMemory(t.AsSpan<sbyte>().ToArray(), t.Dims),
        ElementType.Float => OrtValue.CreateTensorValueFromMemory(t.AsSpan<float>().ToArray(), t.Dims),
        ElementType.Int64 => OrtValue.CreateTensorValueFromMemory(t.AsSpan<long>().ToArray(), t.Dims),
        ElementType.Int32 => OrtValue.CreateTensorValueFromMemory(t.AsSpan<int>().ToArray(), t.Dims),
        ElementType.Bool => OrtValue.CreateTensorValueFromMemory(t.AsSpan<bool>().ToArray(), t.Dims),
        _ => throw new NotSupportedException($"{t}"),
    };
}
