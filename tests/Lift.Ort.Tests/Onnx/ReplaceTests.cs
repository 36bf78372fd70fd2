using System.Runtime.InteropServices;
using Google.Protobuf;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Onnx;

[TestClass]
public sealed class ReplaceTests
{
    [TestMethod, DynamicData(nameof(Models))]
    public void Only_the_named_weights_bytes_change(string name)
    {
        var model = new GoldenModel(name);
        using var temp = TestFiles.Temp();
        Graph graph = OnnxFile.Read(model.Path);
        string[] names = [.. graph.Initializers.Values.Where(t => t.Type == ElementType.Float && t.Count > 1).Select(t => t.Name).Where((_, i) => i % 3 == 0)];
        var replacements = names.ToDictionary(n => n, n => Changed(graph.Initializers[n]));
        OnnxFile.Replace(model.Path, replacements, temp["out.onnx"]);
        CheckReplaced(model.Path, temp["out.onnx"], graph, replacements);
        Assert.AreEqual(new FileInfo(model.Path).Length, new FileInfo(temp["out.onnx"]).Length);
    }

    public static IEnumerable<object[]> Models => new[] { "mlp", "llama-tiny-folded", "gpt2-merged-tiny", "mobilenetv2-bn-tiny" }.Select(n => new object[] { n });

    [TestMethod]
    public void Every_storage_form_keeps_its_form()
    {
        var model = new SampleModel().Input("x", 1, 3).Output("y", 1).Node("Identity", ["x"], ["y"]);
        void Typed(string name, int type, Action<TensorProto> fill)
        {
            var t = new TensorProto { Name = name, DataType = type };
            t.Dims.Add(3);
            fill(t);
            model.Graph.Initializer.Add(t);
        }
        Typed("float_data", 1, t => t.FloatData.AddRange([1, 2, 3]));
        Typed("double_data", 11, t => t.DoubleData.AddRange([1, 2, 3]));
        Typed("half_data", 10, t => t.Int32Data.AddRange([0, 1, 2]));
        Typed("bfloat_data", 16, t => t.Int32Data.AddRange([0, 1, 2]));
        Typed("raw", 1, t => t.RawData = ByteString.CopyFrom(new byte[12]));
        var value = new AttributeProto { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor, T = new TensorProto { DataType = 1, Name = "inner", RawData = ByteString.CopyFrom(new byte[12]) } };
        value.T.Dims.Add(3);
        model.Node("Constant", [], ["constant"], value);
        var floats = new AttributeProto { Name = "value_floats", Type = AttributeProto.Types.AttributeType.Floats };
        floats.Floats.AddRange([1, 2, 3]);
        model.Node("Constant", [], ["constant_floats"], floats);
        using var temp = TestFiles.Temp();
        string source = model.Save(temp["m.onnx"]);
        Graph graph = OnnxFile.Read(source);
        var replacements = graph.Initializers.Values.ToDictionary(t => t.Name, Changed);
        OnnxFile.Replace(source, replacements, temp["out.onnx"]);
        CheckReplaced(source, temp["out.onnx"], graph, replacements);
        ModelProto written = ModelProto.Parser.ParseFrom(File.ReadAllBytes(temp["out.onnx"]));
        foreach (var (before, after) in model.Graph.Initializer.Zip(written.Graph.Initializer))
        {
            Assert.AreEqual((before.FloatData.Count, before.DoubleData.Count, before.Int32Data.Count, before.RawData.Length), (after.FloatData.Count, after.DoubleData.Count, after.Int32Data.Count, after.RawData.Length), before.Name);
        }
        CollectionAssert.AreEqual(model.Graph.Node.Select(n => n.OpType).ToList(), written.Graph.Node.Select(n => n.OpType).ToList());

        // back to the old values: the file is the old file
        OnnxFile.Replace(temp["out.onnx"], graph.Initializers, temp["out.onnx"]);
        CollectionAssert.AreEqual(File.ReadAllBytes(source), File.ReadAllBytes(temp["out.onnx"]));
    }

    [TestMethod]
    public void External_data_gets_a_complete_file_of_its_own()
    {
        using var temp = TestFiles.Temp();
        byte[] first = MemoryMarshal.AsBytes<float>(Enumerable.Range(0, 64).Select(i => (float)i).ToArray()).ToArray(), second = [.. first.Reverse()];
        File.WriteAllBytes(temp["a.bin"], first);
        File.WriteAllBytes(temp["b.bin"], second);
        var model = new SampleModel().Input("x", 1, 8).Output("y", 1).Node("Identity", ["x"], ["y"]);
        void External(string name, string location, long offset, long count)
        {
            var t = new TensorProto { Name = name, DataType = 1, DataLocation = TensorProto.Types.DataLocation.External };
            t.Dims.Add(count);
            t.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = location });
            if (offset > 0) t.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = $"{offset}" });
            model.Graph.Initializer.Add(t);
        }
        External("a0", "a.bin", 0, 16);
        External("a1", "a.bin", 64, 16);
        External("shared", "a.bin", 128, 16);
        External("shared_twin", "a.bin", 128, 16);
        External("b0", "b.bin", 0, 32);
        External("b1", "b.bin", 128, 32);
        string source = model.Save(temp["m.onnx"]);
        Graph graph = OnnxFile.Read(source);
        var replacements = new[] { "a1", "shared", "b0" }.ToDictionary(n => n, n => Changed(graph.Initializers[n]));
        Directory.CreateDirectory(temp["out"]);
        OnnxFile.Replace(source, replacements, temp["out/m2.onnx"]);
        CheckReplaced(source, temp["out/m2.onnx"], graph, replacements);
        CollectionAssert.AreEquivalent(new[] { "m2.onnx", "m2.onnx.data" }, Directory.GetFiles(temp["out"]).Select(Path.GetFileName).ToArray());
        CollectionAssert.AreEqual(first, File.ReadAllBytes(temp["a.bin"]), "the source's data is untouched");
    }

    [TestMethod]
    public void Values_that_do_not_belong_are_refused()
    {
        using var temp = TestFiles.Temp();
        string source = SampleModel.Small().Save(temp["m.onnx"]);
        void Refused(string expected, string name, Tensor tensor)
        {
            var e = Assert.ThrowsExactly<LiftException>(() => OnnxFile.Replace(source, new Dictionary<string, Tensor> { [name] = tensor }, temp["out.onnx"]));
            StringAssert.Contains(e.Message, expected);
            Assert.IsFalse(File.Exists(temp["out.onnx"]));
        }
        Refused("no initializer or Constant 'v'", "v", Tensor.Empty("v", ElementType.Float, [4, 5]));
        Refused("is float[4, 5], but its new values are float[5, 4]", "w", Tensor.Empty("w", ElementType.Float, [5, 4]));
        Refused("is float[4, 5], but its new values are double[4, 5]", "w", Tensor.Empty("w", ElementType.Double, [4, 5]));
    }

    private static void CheckReplaced(string source, string output, Graph before, Dictionary<string, Tensor> replacements)
    {
        Graph after = OnnxFile.Read(output);
        CollectionAssert.AreEqual(before.Initializers.Keys.ToList(), after.Initializers.Keys.ToList());
        foreach (var (name, tensor) in before.Initializers)
        {
            Tensor expected = replacements.GetValueOrDefault(name, tensor);
            Assert.IsTrue(expected.AsSpan<byte>().SequenceEqual(after.Initializers[name].AsSpan<byte>()), name);
        }
        ModelProto Bare(string path)
        {
            ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
            model.Graph.Initializer.Clear();
            foreach (var attribute in model.Graph.Node.Where(n => replacements.ContainsKey(n.Output[0])).SelectMany(n => n.Attribute)) attribute.T = null;
            foreach (var attribute in model.Graph.Node.Where(n => n.OpType == "Constant").SelectMany(n => n.Attribute)) attribute.Floats.Clear();
            return model;
        }
        Assert.AreEqual(Bare(source), Bare(output), "graph, inputs, outputs, opset and order are the same");
    }

    private static Tensor Changed(Tensor tensor)
    {
        Tensor copy = tensor.Copy();
        Span<byte> bytes = copy.AsSpan<byte>();
        for (int i = 0; i < bytes.Length; i++) bytes[i] ^= (byte)(i % 2 == 0 ? 0x15 : 0);
        return copy;
    }
}
