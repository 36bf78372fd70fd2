using Google.Protobuf;
using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Onnx;

[TestClass]
public sealed class OnnxFileTests
{
    public static IEnumerable<object[]> Models => from name in GoldenModel.Names from external in new[] { false, true } select new object[] { name, external };

    [TestMethod, DynamicData(nameof(Models))]
    public void A_model_written_again_computes_the_recorded_logits(string name, bool external)
    {
        var model = new GoldenModel(name);
        using var temp = TestFiles.Temp();
        Graph graph = OnnxFile.Read(model.Path);
        OnnxFile.Write(graph, temp["again.onnx"], external);
        Assert.AreEqual(external, File.Exists(temp["again.onnx.data"]));
        using var session = new InferenceSession(temp["again.onnx"]);
        foreach (int index in Enumerable.Range(0, model.Cases.Count))
        {
            using var run = new RunOptions();
            using var results = session.Run(run, model.Inputs(index), [session.OutputNames[0]]);
            float[] expected = model.Logits(index), actual = results[0].GetTensorDataAsSpan<float>().ToArray();
            Assert.HasCount(expected.Length, actual);
            float scale = expected.Max(Math.Abs);
            for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 2e-5f * scale, $"logit {i} of case {index}");
        }
        Graph again = OnnxFile.Read(temp["again.onnx"]);
        CollectionAssert.AreEqual(graph.Initializers.Keys.ToList(), again.Initializers.Keys.ToList());
        foreach (var (key, tensor) in graph.Initializers) Assert.IsTrue(tensor.AsSpan<byte>().SequenceEqual(again.Initializers[key].AsSpan<byte>()), key);
        CollectionAssert.AreEqual(graph.Inputs.Select(i => $"{i.Name} {i.Type}").ToList(), again.Inputs.Select(i => $"{i.Name} {i.Type}").ToList());
    }

    [TestMethod]
    public void Every_way_to_store_a_tensor_is_read()
    {
        var model = new SampleModel().Input("x", 1, 2).Output("y", 1).Node("Identity", ["x"], ["y"]);
        TensorProto Typed(string name, int type, params long[] dims)
        {
            var t = new TensorProto { Name = name, DataType = type };
            t.Dims.AddRange(dims);
            model.Graph.Initializer.Add(t);
            return t;
        }
        Typed("float", 1, 2).FloatData.AddRange([1.5f, -2]);
        Typed("double", 11, 2).DoubleData.AddRange([1.5, -2]);
        Typed("int64", 7, 2).Int64Data.AddRange([long.MinValue, 5]);
        Typed("int32", 6, 2).Int32Data.AddRange([-7, 5]);
        Typed("int8", 3, 2).Int32Data.AddRange([-7, 5]);
        Typed("bool", 9, 2).Int32Data.AddRange([1, 0]);
        Typed("float16", 10, 2).Int32Data.AddRange([BitConverter.HalfToUInt16Bits((Half)1.5f), BitConverter.HalfToUInt16Bits((Half)(-2))]);
        Typed("bfloat16", 16, 2).Int32Data.AddRange([0x3fc0, 0xc000]);
        Typed("uint64", 13, 2).Uint64Data.AddRange([ulong.MaxValue, 5]);
        Typed("uint4", 21, 3).Int32Data.AddRange([0x21, 0x03]);
        Typed("empty", 1, 0);
        model.Node("Constant", [], ["c_float"], SampleModel.Number("value_float", 2.5f));
        model.Node("Constant", [], ["c_ints"], SampleModel.Ints("value_ints", 3, -4));
        using var temp = TestFiles.Temp();
        Graph graph = OnnxFile.Read(model.Save(temp["typed.onnx"]));
        foreach (string name in new[] { "float", "double", "float16", "bfloat16" }) CollectionAssert.AreEqual(new[] { 1.5f, -2 }, graph.Initializers[name].ToFloats(), name);
        CollectionAssert.AreEqual(new[] { -7f, 5 }, graph.Initializers["int8"].ToFloats());
        CollectionAssert.AreEqual(new[] { -7L, 5 }, graph.Initializers["int32"].ToLongs());
        CollectionAssert.AreEqual(new[] { long.MinValue, 5 }, graph.Initializers["int64"].ToLongs());
        CollectionAssert.AreEqual(new byte[] { 1, 0 }, graph.Initializers["bool"].AsSpan<byte>().ToArray());
        CollectionAssert.AreEqual(new byte[] { 0x21, 3 }, graph.Initializers["uint4"].AsSpan<byte>().ToArray());
        Assert.AreEqual(ulong.MaxValue, graph.Initializers["uint64"].AsSpan<ulong>()[0]);
        Assert.AreEqual(0, graph.Initializers["empty"].Count);
        CollectionAssert.AreEqual(new[] { 2.5f }, graph.Initializers["c_float"].ToFloats());
        CollectionAssert.AreEqual(new[] { 3L, -4 }, graph.Initializers["c_ints"].ToLongs());
        Assert.HasCount(1, graph.Nodes, "Constant nodes are initializers");
    }

    [TestMethod]
    public void Initializers_that_are_also_inputs_are_initializers_only_and_nodes_are_sorted()
    {
        SampleModel model = SampleModel.Small().Input("w", 1, 4, 5);
        (model.Graph.Node[0], model.Graph.Node[1]) = (model.Graph.Node[1].Clone(), model.Graph.Node[0].Clone());
        model.Graph.Node[0].Domain = "ai.onnx";
        using var temp = TestFiles.Temp();
        Graph graph = OnnxFile.Read(model.Save(temp["m.onnx"]));
        Assert.AreEqual("x", string.Join(",", graph.Inputs.Select(i => i.Name)));
        Assert.AreEqual("Relu,MatMul", string.Join(",", graph.Nodes.Select(n => n.Operator)));
        Assert.AreEqual("float[2, 3, 5]", graph.TypeOf("y").ToString());
    }

    [TestMethod]
    public void External_data_of_3_gigabytes_is_mapped_not_loaded()
    {
        using var temp = TestFiles.Temp();
        const long Rows = 3L << 20, Offset = 4096;
        using (FileStream data = File.Create(temp["big.bin"]))
        {
            data.SetLength(Offset + (Rows * 1024)); // sparse: takes no room
            data.Position = data.Length - 4;
            data.Write(BitConverter.GetBytes(42f));
        }
        var model = new SampleModel().Input("x", 1, 1, Rows).Output("y", 1).Node("MatMul", ["x", "big"], ["y"]);
        var tensor = new TensorProto { Name = "big", DataType = 1, DataLocation = TensorProto.Types.DataLocation.External };
        tensor.Dims.AddRange([Rows, 256]);
        foreach (var (key, value) in new[] { ("location", "big.bin"), ("offset", $"{Offset}"), ("length", $"{Rows * 1024}") }) tensor.ExternalData.Add(new StringStringEntryProto { Key = key, Value = value });
        model.Graph.Initializer.Add(tensor);
        Graph graph = OnnxFile.Read(model.Save(temp["m.onnx"]));
        long before = Environment.WorkingSet;
        unsafe
        {
            Tensor big = graph.Initializers["big"];
            Assert.AreEqual(3L << 30, big.ByteLength);
            Assert.AreEqual(42f, ((float*)big.Data)[big.Count - 1]);
            GC.KeepAlive(big);
        }
        Assert.IsLessThan(before + (64 << 20), Environment.WorkingSet);
    }

    [TestMethod]
    public void A_failed_write_leaves_the_old_file()
    {
        using var temp = TestFiles.Temp();
        Graph graph = OnnxFile.Read(SampleModel.Small().Save(temp["m.onnx"]));
        File.WriteAllText(temp["old.onnx"], "old");
        Directory.CreateDirectory(temp["blocked.onnx"]); // a folder where the file should go: renaming fails at the very end
        var e = Assert.ThrowsExactly<LiftException>(() => OnnxFile.Write(graph, temp["blocked.onnx"]));
        StringAssert.Contains(e.Message, "cannot be written");
        Assert.ThrowsExactly<LiftException>(() => OnnxFile.Write(graph, temp["missing/m.onnx"]));
        Assert.IsEmpty(Directory.GetFiles(temp.Path, "*.tmp"));
        OnnxFile.Write(graph, temp["old.onnx"]);
        Assert.AreEqual(2, OnnxFile.Read(temp["old.onnx"]).Nodes.Count);
    }

    [TestMethod]
    [DataRow(false), DataRow(true)]
    public void A_disk_that_fills_up_leaves_the_old_file(bool external)
    {
        using var temp = TestFiles.Temp();
        SampleModel model = SampleModel.Small();
        model.Float("big", [1000], i => i);
        Graph graph = OnnxFile.Read(model.Save(temp["m.onnx"]));
        byte[] before = File.ReadAllBytes(temp["m.onnx"]);
        unsafe
        {
            graph.Initializers["big"] = new Tensor("big", ElementType.Float, [1000], null, graph);
        }
        var e = Assert.ThrowsExactly<LiftException>(() => OnnxFile.Write(graph, temp["m.onnx"], external, (_, _) => throw new IOException("No space left on device")));
        StringAssert.Contains(e.Message, "No space left on device");
        CollectionAssert.AreEqual(before, File.ReadAllBytes(temp["m.onnx"]));
        Assert.HasCount(1, Directory.GetFiles(temp.Path));
    }

    [TestMethod]
    public void A_single_file_of_nearly_2_gigabytes_is_written_as_a_stream_and_mapped()
    {
        using var temp = TestFiles.Temp();
        Graph graph = OnnxFile.Read(SampleModel.Small().Save(temp["m.onnx"]));
        unsafe
        {
            graph.Initializers.Add("big", new Tensor("big", ElementType.Float, [460_000_000], null, graph));
        }
        long before = Environment.WorkingSet;
        OnnxFile.Write(graph, temp["big.onnx"], contents: (tensor, stream) =>
        {
            stream.Position += tensor.ByteLength - 4; // sparse: takes no room
            stream.Write(BitConverter.GetBytes(42f));
        });
        Assert.HasCount(2, Directory.GetFiles(temp.Path));
        Tensor big = OnnxFile.Read(temp["big.onnx"]).Initializers["big"];
        unsafe
        {
            Assert.AreEqual(42f, ((float*)big.Data)[big.Count - 1]);
        }
        GC.KeepAlive(big);
        Assert.IsLessThan(before + (64 << 20), Environment.WorkingSet);
    }
}
