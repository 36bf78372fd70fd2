using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Onnx;

[TestClass]
public sealed class ShapeInferenceTests
{
    public static IEnumerable<object[]> Models => GoldenModel.Names.Select(n => new object[] { n });

    /// <summary>Makes every value an output, runs both recorded cases and compares each inferred type with what ONNX Runtime produced.</summary>
    [TestMethod, DynamicData(nameof(Models))]
    public void What_is_inferred_holds_in_every_run(string name)
    {
        var model = new GoldenModel(name);
        Graph graph = OnnxFile.Read(model.Path);
        Graph open = graph.Clone();
        open.Outputs.Clear();
        foreach (string value in graph.Nodes.SelectMany(n => n.Outputs).Where(o => o.Length > 0)) open.Outputs.Add(new(value, graph.TypeOf(value)));
        using var temp = TestFiles.Temp();
        OnnxFile.Write(open, temp["open.onnx"]);
        using var options = new SessionOptions { GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL, IntraOpNumThreads = 1 };
        using var session = new InferenceSession(temp["open.onnx"], options);
        foreach (int index in Enumerable.Range(0, model.Cases.Count))
        {
            var inputs = model.Inputs(index);
            using var run = new RunOptions();
            using var results = session.Run(run, inputs, [.. open.Outputs.Select(o => o.Name)]);
            var bound = new Symbols();
            foreach (var (input, value) in inputs) bound.Check(input, graph.TypeOf(input), value);
            for (int i = 0; i < open.Outputs.Count; i++) bound.Check(open.Outputs[i].Name, graph.TypeOf(open.Outputs[i].Name), results[i]);
            for (int i = 0; i < open.Outputs.Count; i++) bound.CheckContent(graph, open.Outputs[i].Name, results[i]);
        }
        string[] unknown = [.. graph.Nodes.SelectMany(n => n.Outputs).Where(o => o.Length > 0 && graph.TypeOf(o) is not { Element: not ElementType.Undefined, Shape: not null })];
        Assert.AreEqual("", string.Join(", ", unknown.Take(10)), $"{unknown.Length} values of {name} have no type or rank");
        string[] vague = [.. graph.Nodes.SelectMany(n => n.Outputs).Where(o => graph.TypeOf(o).Shape!.Dims.Any(d => d.Symbol?.Contains("dim(") == true))];
        Assert.AreEqual("", string.Join(", ", vague.Take(10).Select(v => $"{v} {graph.TypeOf(v)}")), $"{vague.Length} values of {name} have dimensions that do not follow from the inputs'");
    }

    /// <summary>torch's exporter writes pads axis by axis and turns them round: [.., 2] reversed, transposed, flattened.</summary>
    [TestMethod]
    public void Pads_that_a_graph_computes_through_matrices_are_known()
    {
        var graph = new Graph();
        graph.Types["x"] = new(ElementType.Float, new Shape("batch", 3, 8));
        Var pairs = graph.Concat(0, graph.Longs(1, 2, 3, 4), graph.Longs(0, 0)).Reshape(-1, 2);
        Var turned = pairs.Graph.Add("Slice", [pairs, graph.Longs(-1), graph.Longs(long.MinValue + 1), graph.Longs(0), graph.Longs(-1)]).Transpose(1, 0);
        Var pads = turned.Reshape(-1).Cast(ElementType.Int64);
        Assert.IsTrue(graph.TryGetLongs(pads.Name, out long[] values));
        CollectionAssert.AreEqual(new long[] { 0, 3, 1, 0, 4, 2 }, values);
        Assert.AreEqual("float[batch, 10, 11]", graph.Add("Pad", [graph.Var("x"), pads]).Type.ToString());
    }
}
