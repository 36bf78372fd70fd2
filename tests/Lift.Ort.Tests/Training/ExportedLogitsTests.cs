using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Generation;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

/// <summary>What comes out is what was trained: 200 steps on real text, then the export's logits against those of the training session itself.</summary>
[TestClass]
public sealed class ExportedLogitsTests
{
    [TestMethod]
    public void The_export_has_the_logits_of_the_training_session_and_only_selected_entries_differ()
    {
        string model = TestFiles.Shared("models/stories260k/model.onnx"), data = TestFiles.Shared("data/math/gsm8k.train.jsonl");
        using var temp = TestFiles.Temp();
        using IDevice device = Device.Open("cpu");
        var folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(model)), model, temp["artifacts"]);
        using var session = TrainingSession.Open(folder, device, new() { Outputs = ["logits"] });
        ITokenizer tokenizer = Tokenizer.Open(TestFiles.Shared("models/stories260k/tok512.model"))!;
        BatchReader reader = BatchReader.Open(data, tokenizer, session.Inputs, new() { Batch = 4, MaxLength = 192, Limit = 400 });
        using var trainer = new Trainer(session, device, reader, new() { Steps = 200, LearningRate = 1e-3, FilterRank = 16, Interval = 0 });
        trainer.Run();

        Batch batch = reader.Next();
        session.Step(batch.Values);
        float[] trained = session.LastOutputs["logits"].ToFloats();
        OnnxFile.Replace(model, session.Weights.ToDictionary(w => w.Name, w => w.ToTensor()), temp["tuned.onnx"]);
        using ExportedModel export = ExportedModel.Open(temp["tuned.onnx"], device);
        using ModelOutput output = export.Run(batch.Values);
        float[] scratch = [];
        var exported = new List<float>();
        for (long row = 0; row < output.Rows; row++) exported.AddRange(output.Row(row, ref scratch));

        Assert.AreEqual(trained.Length, exported.Count);
        float largest = trained.Max(MathF.Abs), worst = trained.Zip(exported, (a, b) => MathF.Abs(a - b)).Max();
        Assert.IsTrue(worst <= 1e-5f * largest, $"logits differ by {worst}, the largest is {largest}");

        var before = OnnxFile.Read(model).Initializers;
        var after = OnnxFile.Read(temp["tuned.onnx"]).Initializers;
        var masks = trainer.Masks.ToDictionary(m => m.Weight, m => m.Positions!.ToHashSet());
        int moved = 0;
        foreach (Tensor tensor in before.Values.Where(t => t.Type == ElementType.Float))
        {
            ReadOnlySpan<int> old = tensor.AsSpan<int>(), now = after[tensor.Name].AsSpan<int>(); // bits
            for (int i = 0; i < old.Length; i++)
            {
                if (old[i] == now[i]) continue;
                moved++;
                Assert.IsTrue(masks.TryGetValue(tensor.Name, out var mask) && mask.Contains(i), $"'{tensor.Name}' changed at {i}, which was not selected");
            }
        }
        Assert.IsTrue(moved > 0.9 * masks.Values.Sum(m => m.Count), $"{moved} entries moved");
    }
}
