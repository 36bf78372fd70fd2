using System.Text.Json;
using Lift.Ort.Architectures;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Sessions;

namespace Lift.Ort.Tests.Artifacts;

[TestClass]
public sealed class QuantizedRuntimeTests
{
    /// <summary>Four-bit matrices as frozen parameters of the checkpoint, one layer made float and trained, in ONNX Runtime's own training runtime.</summary>
    [TestMethod]
    public void A_quantized_base_trains_there_too()
    {
        using TempFolder temp = TestFiles.Temp();
        var shape = new LlamaShape(Width: 128, Layers: 1, Heads: 4, KvHeads: 2, Ffn: 192, Vocab: 64, Tied: true);
        NewModel.WriteLlama(temp["model.onnx"], shape, bits: 4);
        Graph graph = OnnxFile.Read(temp["model.onnx"]);
        ArtifactFolder folder = ArtifactFolder.Create(TrainingGraph.Build(graph, new() { Dequantize = [QuantizedLayer.Find(graph)[0].Layer] }), temp["model.onnx"], temp["prepared"]);
        Assert.IsTrue(folder.Checkpoint.Frozen.Any(f => f.Type == ElementType.UInt8), "the packed matrices are parameters");
        long[] ids = [.. Enumerable.Range(0, 20).Select(i => (long)(i * 37 % 64))];
        Dictionary<string, Tensor>[] batches = [.. Enumerable.Repeat(new Dictionary<string, Tensor> { ["input_ids"] = Tensor.From<long>("input_ids", ids, 2, 10), ["labels"] = Tensor.From<long>("labels", ids, 2, 10) }, 3)];
        JsonElement theirs = TrainingRuntime.Train(folder, batches);
        using var session = TrainingSession.Open(folder, Device.Open());
        var adam = new PlainAdamW(session, 0.001);
        foreach (var (batch, loss) in batches.Zip(theirs.GetProperty("losses").EnumerateArray()))
        {
            Assert.AreEqual(session.Step(batch), loss.GetDouble(), 1e-4 * Math.Abs(loss.GetDouble()));
            adam.Step();
        }
    }
}
