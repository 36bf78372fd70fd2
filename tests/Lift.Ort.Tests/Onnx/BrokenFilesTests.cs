using Google.Protobuf;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Onnx;

/// <summary>Each broken file is refused with one sentence that names the broken thing.</summary>
[TestClass]
public sealed class BrokenFilesTests
{
    private static readonly Dictionary<string, (Action<string> Make, string Expected)> table = new()
    {
        ["empty"] = (p => File.WriteAllBytes(p, []), "is empty"),
        ["text"] = (p => File.WriteAllText(p, "<html><body>404 Not Found</body></html>"), "ONNX model"),
        ["zeros"] = (p => File.WriteAllBytes(p, new byte[4096]), "is no ONNX model or is truncated: its bytes stop being protobuf at byte 0"),
        ["truncated"] = (p => Cut(p, 0.6), "is truncated or no ONNX model: the field at byte"),
        ["barely truncated"] = (p => Cut(p, 0.99), "truncated"),
        ["no graph"] = (p => Save(p, m => m.Proto.Graph = null), "it has no graph"),
        ["no outputs"] = (p => Save(p, m => m.Graph.Output.Clear()), "a graph without outputs"),
        ["unknown operator"] = (p => Save(p, m => m.Graph.Node[0].OpType = "Rellu"), "Rellu 'Relu_0' in"),
        ["unknown domain"] = (p => Save(p, m => m.Graph.Node[0].Domain = "my.ops"), "unknown domain 'my.ops'"),
        ["too few inputs"] = (p => Save(p, m => m.Graph.Node[1].Input.RemoveAt(1)), "takes 2 inputs, but has 1"),
        ["too many inputs"] = (p => Save(p, m => m.Graph.Node[0].Input.Add("w")), "takes 1 input, but has 2"),
        ["unknown attribute"] = (p => Save(p, m => m.Graph.Node[0].Attribute.Add(SampleModel.Int("slope", 1))), "has the attribute 'slope', which opset 17 does not know"),
        ["attribute of another type"] = (p => Save(p, m => m.Node("Softmax", ["x"], ["s"], SampleModel.Number("axis", 1))), "has the attribute 'axis' as float where int belongs"),
        ["missing attribute"] = (p => Save(p, m => m.Node("Concat", ["x", "x"], ["s"])), "lacks its attribute 'axis'"),
        ["operator of a later opset"] = (p => Save(p, m => m.Node("Gelu", ["x"], ["s"])), "is an operator of opset 20 and later, but the model declares opset 17"),
        ["no permutation"] = (p => Save(p, m => m.Node("Transpose", ["x"], ["s"], SampleModel.Ints("perm", 0, 2, 2))), "has the perm [0, 2, 2], which is no order of the axes of 'x' [2, 3, 4]"),
        ["axis out of range"] = (p => Save(p, m => m.Node("Softmax", ["x"], ["s"], SampleModel.Int("axis", 3))), "has the axis 3, but 'x' has 3 dimensions"),
        ["dangling input"] = (p => Save(p, m => m.Graph.Node[1].Input[0] = "lost"), "MatMul 'MatMul_1' in"),
        ["dangling name"] = (p => Save(p, m => m.Graph.Node[1].Input[0] = "lost"), "reads 'lost', which no node, input or initializer defines"),
        ["dangling output"] = (p => Save(p, m => m.Graph.Output[0].Name = "lost"), "Output 'lost'"),
        ["defined twice"] = (p => Save(p, m => m.Node("Neg", ["x"], ["r"])), "defines the value 'r' twice, the second time in Neg 'Neg_2'"),
        ["initializer twice"] = (p => Save(p, m => m.Graph.Initializer.Add(m.Graph.Initializer[0])), "defines the value 'w' twice"),
        ["cycle"] = (p => Save(p, m => { m.Graph.Node[0].Input[0] = "t"; m.Node("Neg", ["y"], ["t"]); }), "form a cycle: Relu 'Relu_0' → MatMul 'MatMul_1' → Neg 'Neg_2' → Relu 'Relu_0'"),
        ["self cycle"] = (p => Save(p, m => m.Graph.Node[0].Input[0] = "r"), "form a cycle: Relu 'Relu_0' → Relu 'Relu_0'"),
        ["type clash"] = (p => Save(p, m => m.Graph.Input[0].Type.TensorType.ElemType = 7), "mixes int64 ('r') and float ('w')"),
        ["index type"] = (p => Save(p, m => m.Node("Gather", ["x", "w"], ["g"])), "takes int64 or int32 as input 1, but 'w' is float"),
        ["float operator"] = (p => Save(p, m => m.Input("i", 7, 2).Node("Tanh", ["i"], ["g"])), "takes floating-point numbers, but 'i' is int64"),
        ["declared output type"] = (p => Save(p, m => m.Graph.Output[0].Type.TensorType.ElemType = 7), "Output 'y'"),
        ["inner dimensions"] = (p => Save(p, m => m.Graph.Input[0].Type.TensorType.Shape.Dim[2].DimValue = 3), "cannot combine 'r' [2, 3, 3] with 'w' [4, 5]"),
        ["wrong shape"] = (p => Save(p, m => m.Graph.Initializer[0].Dims[0] = 5), "Initializer 'w' in"),
        ["wrong byte count"] = (p => Save(p, m => m.Graph.Initializer[0].Dims[0] = 5), "is float[5, 5], which takes 100 bytes, but the file holds 80"),
        ["wrong byte count, mapped"] = (p => Save(p, m => m.Float("big", [1000], _ => 1).Dims[0] = 1001), "takes 4004 bytes, but the file holds 4000"),
        ["wrong value count"] = (p => Save(p, m => { m.Graph.Initializer[0].ClearRawData(); m.Graph.Initializer[0].FloatData.Add(1); }), "20 values, but the file holds 1"),
        ["negative dimension"] = (p => Save(p, m => m.Graph.Initializer[0].Dims[0] = -4), "impossible dimensions [-4, 5]"),
        ["huge dimensions"] = (p => Save(p, m => m.Graph.Initializer[0].Dims.Add(long.MaxValue)), "impossible dimensions"),
        ["unknown element type"] = (p => Save(p, m => m.Graph.Initializer[0].DataType = 77), "unknown element type 77"),
        ["strings"] = (p => Save(p, m => m.Graph.Initializer[0].DataType = 8), "mixes float ('r') and string ('w')"),
        ["old opset"] = (p => Save(p, m => m.Proto.OpsetImport[0].Version = 9), "uses opset 9"),
        ["new opset"] = (p => Save(p, m => m.Proto.OpsetImport[0].Version = 99), "uses opset 99"),
        ["external missing"] = (p => External(p, "gone.bin", 0, 80), "in 'gone.bin', which does not exist"),
        ["external above"] = (p => External(p, "../x.bin", 0, 80), "outside the model's folder"),
        ["external absolute"] = (p => External(p, "/etc/passwd", 0, 80), "outside the model's folder"),
        ["external hidden above"] = (p => External(p, "a/../../x.bin", 0, 80), "outside the model's folder"),
        ["external link"] = (p => { File.CreateSymbolicLink(Beside(p, "link.bin"), "/etc/passwd"); External(p, "link.bin", 0, 80); }, "a link that leads outside"),
        ["external linked folder"] = (p => { Directory.CreateSymbolicLink(Beside(p, "d"), "/etc"); External(p, "d/passwd", 0, 80); }, "a link that leads outside"),
        ["external short"] = (p => { File.WriteAllBytes(Beside(p, "w.bin"), new byte[100]); External(p, "w.bin", 64, 80); }, "bytes 64 to 144 of 'w.bin', which has only 100 bytes"),
        ["external far"] = (p => { File.WriteAllBytes(Beside(p, "w.bin"), new byte[100]); External(p, "w.bin", long.MaxValue, 80); }, "of 'w.bin', which has only 100 bytes"),
        ["external length"] = (p => { File.WriteAllBytes(Beside(p, "w.bin"), new byte[100]); External(p, "w.bin", 0, 40); }, "declares 40 bytes of external data, but its type and dimensions ask for 80"),
        ["external nowhere"] = (p => External(p, "", 0, 80), "without a location"),
        ["nested too deep"] = (p => Save(p, m => m.Node("If", ["x"], ["z"], Nested(40))), "nested more than"),
    };

    public static IEnumerable<object[]> Names => table.Keys.Select(k => new object[] { k });

    [TestMethod, DynamicData(nameof(Names))]
    public void A_broken_file_is_refused_in_one_sentence(string name)
    {
        using var temp = TestFiles.Temp();
        var (make, expected) = table[name];
        make(temp["broken.onnx"]);
        var e = Assert.ThrowsExactly<LiftException>(() => OnnxFile.Read(temp["broken.onnx"]));
        StringAssert.Contains(e.Message, expected);
        Assert.IsTrue(e.Message.Contains("broken.onnx") && e.Message.EndsWith('.') && !e.Message.Contains('\n'), e.Message);
    }

    [TestMethod]
    public void A_missing_file_or_a_folder_is_refused()
    {
        using var temp = TestFiles.Temp();
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => OnnxFile.Read(temp["gone.onnx"])).Message, "There is no file");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => OnnxFile.Read(temp.Path)).Message, "cannot be read");
    }

    [TestMethod]
    public void A_model_that_is_a_link_into_a_store_finds_its_data_there()
    {
        using var temp = TestFiles.Temp();
        Directory.CreateDirectory(temp["blobs"]);
        Directory.CreateDirectory(temp["snapshot"]);
        File.WriteAllBytes(temp["blobs/1"], new byte[80]);
        External(temp["blobs/0"], "w.bin", 0, 80);
        File.CreateSymbolicLink(temp["snapshot/m.onnx"], temp["blobs/0"]);
        File.CreateSymbolicLink(temp["snapshot/w.bin"], "../blobs/1");
        Assert.AreEqual(20, OnnxFile.Read(temp["snapshot/m.onnx"]).Initializers["w"].Count);
    }

    /// <summary>Random damage never crashes or hangs the reader: it reads the file, or says what is wrong.</summary>
    [TestMethod]
    public void Damaged_files_are_read_or_refused()
    {
        using var temp = TestFiles.Temp();
        SampleModel rich = SampleModel.Small();
        rich.Float("big", [700], i => i);
        rich.Node("Constant", [], ["shape"], SampleModel.Ints("value_ints", 2, -1)).Node("Reshape", ["y", "shape"], ["z"]).Node("Softmax", ["z"], ["p"], SampleModel.Int("axis", 1));
        rich.Node("Slice", ["p", "shape", "shape"], ["s"]).Node("Split", ["s"], ["s1", "s2"], SampleModel.Int("axis", 0)).Node("If", ["c"], ["i"], Nested(3)).Input("c", 9);
        byte[][] models = [SampleModel.Small().Proto.ToByteArray(), rich.Proto.ToByteArray()];
        var random = new Random(2);
        int refused = 0;
        for (int i = 0; i < 500; i++)
        {
            byte[] bytes = [.. models[i % 2]];
            for (int n = random.Next(1, 5); n > 0; n--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            File.WriteAllBytes(temp["damaged.onnx"], bytes);
            try
            {
                OnnxFile.Read(temp["damaged.onnx"]);
            }
            catch (LiftException)
            {
                refused++;
            }
        }
        Assert.IsTrue(refused is > 100 and < 500, $"{refused} of 500 were refused");
    }

    private static void Save(string path, Action<SampleModel> breakIt)
    {
        SampleModel model = SampleModel.Small();
        breakIt(model);
        model.Save(path);
    }

    private static void Cut(string path, double share)
    {
        SampleModel.Small().Save(path);
        byte[] bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(path, bytes[..(int)(bytes.Length * share)]);
    }

    private static void External(string path, string location, long offset, long length) => Save(path, m =>
    {
        TensorProto w = m.Graph.Initializer[0];
        w.ClearRawData();
        w.DataLocation = TensorProto.Types.DataLocation.External;
        foreach (var (key, value) in new[] { ("location", location), ("offset", $"{offset}"), ("length", $"{length}") }) w.ExternalData.Add(new StringStringEntryProto { Key = key, Value = value });
    });

    private static string Beside(string path, string name) => Path.Combine(Path.GetDirectoryName(path)!, name);

    private static AttributeProto Nested(int depth)
    {
        var graph = new GraphProto { Name = "inner" };
        if (depth > 0)
        {
            var node = new NodeProto { OpType = "If" };
            node.Attribute.Add(Nested(depth - 1));
            graph.Node.Add(node);
        }
        return new AttributeProto { Name = "then_branch", Type = AttributeProto.Types.AttributeType.Graph, G = graph };
    }
}
