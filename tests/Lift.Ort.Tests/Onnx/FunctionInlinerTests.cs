using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Onnx;

[TestClass]
public sealed class FunctionInlinerTests
{
    /// <summary>twice(x; k) = scale(scale(x)), scale(x; k) = x·k with k = 3 by default, the second output is x itself.</summary>
    private static SampleModel Model()
    {
        var model = new SampleModel(18) { Proto = { IrVersion = 8 } };
        model.Input("x", 1, "n", 2).Output("y", 1).Output("z", 1).Node("Relu", ["x"], ["scale/k"]).Node("Twice", ["scale/k"], ["y", "z"], SampleModel.Number("factor", 5));
        model.Proto.OpsetImport.Add(new OperatorSetIdProto { Domain = "mine", Version = 1 });
        model.Graph.Node[1].Domain = "mine";
        model.Graph.Node[1].Name = "call";

        var scale = Function("Scale", ["a"], ["b"], "k");
        var constant = new NodeProto { OpType = "Constant" };
        constant.Output.Add("c");
        constant.Attribute.Add(new AttributeProto { Name = "value_float", RefAttrName = "k", Type = AttributeProto.Types.AttributeType.Float });
        scale.Node.Add(constant);
        scale.Node.Add(Node("Mul", "", ["a", "c"], ["b"]));
        scale.Attribute.Clear();
        scale.AttributeProto.Add(SampleModel.Number("k", 3));

        var twice = Function("Twice", ["a"], ["b", "d"], "factor");
        twice.Node.Add(Node("Scale", "mine", ["a"], ["t"]));
        NodeProto second = Node("Scale", "mine", ["t"], ["b"]);
        second.Attribute.Add(new AttributeProto { Name = "k", RefAttrName = "factor", Type = AttributeProto.Types.AttributeType.Float });
        twice.Node.AddRange([second, Node("Identity", "", ["a"], ["d"])]);
        model.Proto.Functions.AddRange([scale, twice]);
        return model;
    }

    [TestMethod]
    public void Calls_are_replaced_by_bodies()
    {
        using var temp = TestFiles.Temp();
        string source = Model().Save(temp["m.onnx"]);
        Graph graph = OnnxFile.Read(source);
        Assert.AreEqual("Relu,Mul,Mul,Identity", string.Join(",", graph.Nodes.Select(n => n.Operator)));
        Assert.IsEmpty(graph.Functions);
        Assert.IsEmpty(graph.Domains);
        Assert.AreEqual("float[n, 2]", graph.TypeOf("y").ToString());
        OnnxFile.Write(graph, temp["flat.onnx"]);
        foreach (var (before, after) in SampleModel.Run(source).Zip(SampleModel.Run(temp["flat.onnx"]))) CollectionAssert.AreEqual(before, after);
    }

    [TestMethod]
    public void Functions_of_another_opset_or_of_ONNX_Runtimes_domain_stay()
    {
        using var temp = TestFiles.Temp();
        SampleModel model = Model();
        foreach (FunctionProto f in model.Proto.Functions) f.OpsetImport[0].Version = 17;
        Graph graph = OnnxFile.Read(model.Save(temp["m.onnx"]));
        Assert.AreEqual("Relu,mine.Twice", string.Join(",", graph.Nodes.Select(n => n.Operator)));
        Assert.HasCount(2, graph.Functions);
        OnnxFile.Write(graph, temp["again.onnx"]);
        Assert.HasCount(2, OnnxFile.Read(temp["again.onnx"]).Functions);
    }

    [TestMethod]
    public void A_function_that_calls_itself_is_refused()
    {
        using var temp = TestFiles.Temp();
        SampleModel model = Model();
        model.Proto.Functions[0].Node.Add(Node("Twice", "mine", ["a"], ["q"]));
        var e = Assert.ThrowsExactly<LiftException>(() => OnnxFile.Read(model.Save(temp["m.onnx"])));
        StringAssert.Contains(e.Message, "calls itself");
    }

    private static FunctionProto Function(string name, string[] inputs, string[] outputs, string attribute)
    {
        var f = new FunctionProto { Name = name, Domain = "mine" };
        f.Input.AddRange(inputs);
        f.Output.AddRange(outputs);
        f.Attribute.Add(attribute);
        f.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 18 });
        f.OpsetImport.Add(new OperatorSetIdProto { Domain = "mine", Version = 1 });
        return f;
    }

    private static NodeProto Node(string op, string domain, string[] inputs, string[] outputs)
    {
        var node = new NodeProto { OpType = op, Domain = domain };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        return node;
    }
}
