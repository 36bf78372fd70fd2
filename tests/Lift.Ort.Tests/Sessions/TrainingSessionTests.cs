using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Sessions;

[TestClass]
public sealed class TrainingSessionTests
{
    private readonly Dictionary<string, Tensor> batch = GoldenArtifactsTests.Inputs();

    private static TrainingSession Open(TrainingSessionOptions? options = null) =>
        TrainingSession.Open(ArtifactFolder.Open(TestFiles.Shared("golden/ort-artifacts/minimal-mlp")), Device.Open(), options);

    private static float[] Gradients(TrainingSession session)
    {
        var values = new float[session.Gradients.Length];
        session.Gradients.CopyTo(values);
        return values;
    }

    [TestMethod]
    public void Chosen_entries_are_those_of_the_whole_gradient_in_one_vector()
    {
        using TrainingSession session = Open();
        session.Step(batch);
        float[] whole = Gradients(session);
        CollectionAssert.AreEqual(new[] { "w1", "b1", "w2", "b2" }, session.Slices.Select(s => s.Weight.Name).ToArray());
        Assert.AreEqual(20 + 5 + 15 + 3, whole.Length);
        Assert.IsGreaterThan(0.01f, whole.Max(Math.Abs));

        int[] first = [0, 3, 19], second = [2, 14];
        session.SetMasks(new Dictionary<string, int[]?> { ["w2"] = second, ["w1"] = first, ["b1"] = [], ["b2"] = null });
        Assert.AreEqual(1.67431916805904, session.Step(batch), 3e-6);
        CollectionAssert.AreEqual(new[] { "w1", "w2", "b2" }, session.Slices.Select(s => s.Weight.Name).ToArray());
        CollectionAssert.AreEqual(first.Select(p => whole[p]).Concat(second.Select(p => whole[25 + p])).Concat(whole[40..]).ToArray(), Gradients(session));

        int[] other = [7, 8, 9, 10];
        session.SetMasks(new Dictionary<string, int[]?> { ["w1"] = other });
        session.Step(batch);
        CollectionAssert.AreEqual(other.Select(p => whole[p]).ToArray(), Gradients(session));
        CollectionAssert.AreEqual(new[] { 4L }, session.Slices.Select(s => s.Count).ToArray());

        session.SetMasks(new Dictionary<string, int[]?>());
        Assert.AreEqual(1.67431916805904, session.Step(batch), 3e-6, "no gradient at all: the loss alone");
    }

    [TestMethod]
    public void Changing_a_weights_memory_changes_the_next_step_and_not_the_file()
    {
        using TrainingSession session = Open();
        float before = session.Step(batch);
        SessionWeight weight = session.Weights.First(w => w.Name == "w2");
        Tensor saved = weight.ToTensor();
        weight.Value.AsSpan<float>().Clear();
        Assert.AreNotEqual(before, session.Step(batch));
        weight.CopyFrom(saved);
        Assert.AreEqual(before, session.Step(batch));
        unsafe { Assert.AreEqual(0, (long)weight.Value.Data % 64); }
    }

    [TestMethod]
    public void Weights_that_are_not_trained_are_frozen()
    {
        using TrainingSession session = Open(new() { Trained = ["w2", "b1"] });
        CollectionAssert.AreEqual(new[] { "b1", "w2" }, session.Weights.Select(w => w.Name).ToArray());
        Assert.AreEqual(1.67431916805904, session.Step(batch), 3e-6);
        Assert.AreEqual(20L, session.Gradients.Length);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Open(new() { Trained = ["w3"] })).Message, "'w3'");
    }

    [TestMethod]
    public void Accumulation_is_the_weighted_mean_and_keeps_the_memory()
    {
        using TrainingSession session = Open();
        var halves = new[] { Rows(0, 2), Rows(2, 6) };
        nint address = session.Gradients.Pointer;
        session.Step(batch);
        float[] expected = Gradients(session);
        float loss = session.Step(batch);
        Assert.AreEqual(loss, session.Step([(halves[0], 2), (halves[1], 4)]), 1e-6f);
        foreach (var (e, a) in expected.Zip(Gradients(session))) Assert.AreEqual(e, a, 1e-6f);
        session.Step(batch);
        CollectionAssert.AreEqual(expected, Gradients(session));
        Assert.AreEqual(address, session.Gradients.Pointer);
        Assert.AreEqual(loss, session.Step([(batch, 3)]));
        Assert.ThrowsExactly<ArgumentException>(() => session.Step(Array.Empty<Lift.Ort.Data.Batch>()));
    }

    private Dictionary<string, Tensor> Rows(int from, int to) => new()
    {
        ["x"] = Tensor.From<float>("x", batch["x"].AsSpan<float>()[(4 * from)..(4 * to)], [to - from, 4]),
        ["labels"] = Tensor.From<long>("labels", batch["labels"].AsSpan<long>()[from..to], [to - from]),
    };

    [TestMethod]
    public void Wrong_masks_are_named()
    {
        using TrainingSession session = Open();
        Expect("w9", new() { ["w9"] = [1] });
        Expect("Position 20 (entry 1)", new() { ["w1"] = [3, 20] });
        Expect("Position 3 (entry 1)", new() { ["w1"] = [3, 3] });
        Expect("Position -1", new() { ["w1"] = [-1] });

        void Expect(string part, Dictionary<string, int[]?> masks) =>
            StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => session.SetMasks(masks)).Message, part);
    }

    [TestMethod]
    public void Wrong_batches_are_named()
    {
        using TrainingSession session = Open();
        Expect("lacks the model's input 'labels'", new() { ["x"] = batch["x"] });
        Expect("'labels' of the batch is int32", new() { ["x"] = batch["x"], ["labels"] = Tensor.From("labels", new int[6], 6) });
        Expect("shape [6, 3]", new() { ["x"] = Tensor.From("x", new float[18], 6, 3), ["labels"] = batch["labels"] });
        Expect("disagree", new() { ["x"] = batch["x"], ["labels"] = Tensor.From("labels", new long[5], 5) });

        void Expect(string part, Dictionary<string, Tensor> wrong) =>
            StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => session.Step(wrong)).Message, part);
    }

    [TestMethod]
    public void Labels_outside_the_classes_are_named_by_row()
    {
        var check = new BatchCheck([new("labels", new TensorType(ElementType.Int64, new Shape("batch", "sequence")))], new ArtifactRecord { Classes = 10 });
        check.Check(new Dictionary<string, Tensor> { ["labels"] = Tensor.From<long>("labels", [0, 9, -100, 3], [2, 2]) });
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => check.Check(new Dictionary<string, Tensor>
        {
            ["labels"] = Tensor.From<long>("labels", [0, 9, -100, 10], [2, 2]),
        })).Message, "Label 10 in row 1, place 1");
    }
}
