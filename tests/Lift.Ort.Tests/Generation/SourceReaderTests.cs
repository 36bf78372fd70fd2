using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Generation;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Training;

namespace Lift.Ort.Tests.Generation;

/// <summary>What becomes of one source; what is written about it is in SourcesTests.</summary>
[TestClass]
public sealed class SourceReaderTests
{
    private static readonly IDevice device = Device.Open();

    [TestMethod]
    public void A_text_begins_with_the_decoder_s_start_else_the_padding()
    {
        using var temp = TestFiles.Temp();
        TaskModels.EncoderDecoder(temp["m.onnx"]);
        using var model = ExportedModel.Open(temp["m.onnx"], device);
        var bytes = new ByteTokenizer();
        CollectionAssert.AreEqual(new[] { 7 }, new SourceReader(model, bytes, new() { DecoderStart = 7 }).Begin);
        CollectionAssert.AreEqual(new[] { bytes.PadId!.Value }, new SourceReader(model, bytes, new()).Begin);
        CollectionAssert.AreEqual(new[] { 0 }, new SourceReader(model, null, new()).Begin);
        CollectionAssert.AreEqual(new[] { 256, 97, 257 }, new SourceReader(model, bytes, new()).Read("a").Ids);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new SourceReader(model, bytes, new()).Read(" ")).Message, "the text is empty");
    }

    [TestMethod]
    public void Where_the_encoder_reads_no_text_the_source_names_a_file()
    {
        using var temp = TestFiles.Temp();
        var graph = new Graph { Inputs = { new("sound", new(ElementType.Float, new("batch", 3))), new("decoder_input_ids", new(ElementType.Int64, new("batch", "length"))) } };
        ShapeInference.InferInputs(graph);
        Var words = graph.Constant<float>(new float[15], [5, 3], "table.weight").Gather(graph.Var("decoder_input_ids"));
        graph.Add("Add", [words, graph.Var("sound").Unsqueeze(1)], output: "logits");
        graph.Outputs.Add(new("logits", new(ElementType.Float, new("batch", "length", 3))));
        OnnxFile.Write(graph, temp["m.onnx"]);
        Safetensors.Write(temp["s.safetensors"], [Tensor.From<float>("sound", [1, 2, 3], 3)]);
        using var model = ExportedModel.Open(temp["m.onnx"], device);
        Assert.IsTrue(model.ReadsSource);
        var reader = new SourceReader(model, null, new());
        CollectionAssert.AreEqual(new float[] { 1, 2, 3 }, reader.Read(temp["s.safetensors"]).Loaded().Values["sound"].ToFloats());
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => reader.Read(temp["absent.wav"])).Message, "there is no '");
    }

    [TestMethod]
    public void A_decoder_without_its_encoder_is_refused()
    {
        using var temp = TestFiles.Temp();
        File.Copy(Path.Combine(TestFiles.Root, "tools", "reference", "decoders", "t5-merged", "model.onnx"), temp["decoder_model.onnx"]);
        using var model = ExportedModel.Open(temp["decoder_model.onnx"], device);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new SourceReader(model, null, new())).Message, "name the encoder's file with --encoder");
    }
}
