using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Sessions;

[TestClass]
public sealed class EvaluationSessionTests
{
    [TestMethod]
    [DataRow("mlp")]
    [DataRow("stories260k")]
    public void Any_model_is_evaluated_with_a_loss_added(string name)
    {
        var golden = new GoldenModel(name);
        using var session = EvaluationSession.Open(OnnxFile.Read(golden.ModelPath), new TrainingGraphOptions { Loss = golden.Loss }, Device.Open(), ["logits"]);
        for (int i = 0; i < golden.Cases; i++)
        {
            var (loss, outputs) = session.Run(golden.Batch(i));
            Assert.AreEqual(golden.LossOf(i), loss, 1e-5 * golden.LossOf(i));
            foreach (var (e, a) in golden.Logits(i).Zip(outputs["logits"].ToFloats())) Assert.AreEqual(e, a, 1e-4f);
        }
        Batch[] batches = [new(golden.Batch(0), 1, 1, 3), new(golden.Batch(1), 1, 1, 1), new(golden.Batch(1), 1, 1, 0)];
        Assert.AreEqual((3 * golden.LossOf(0) + golden.LossOf(1)) / 4, session.MeanLoss(batches), 1e-5 * golden.LossOf(0));
    }

    [TestMethod]
    public void Labels_and_ids_outside_the_vocabulary_are_told_in_one_sentence()
    {
        var golden = new GoldenModel("stories260k");
        using var session = EvaluationSession.Open(OnnxFile.Read(golden.ModelPath), new TrainingGraphOptions(), Device.Open());
        var batch = golden.Batch(1);
        batch["labels"].AsSpan<long>()[5] = 512;
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => session.Run(batch)).Message, "Label 512 in row 0, place 5");
        batch = golden.Batch(1);
        batch["input_ids"].AsSpan<long>()[5] = 512;
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => session.Run(batch)).Message, "512");
    }
}
