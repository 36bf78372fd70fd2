using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Devices;
using Lift.Ort.Tests.Devices.Cuda;
using Lift.Ort.Tests.Training;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Sessions;

/// <summary>Which runs of a session are recorded and replayed (CUDA graphs). The simulated GPU records nothing: what is tested is the decision, the numbers and the addresses.</summary>
[TestClass]
public sealed class RecordedRunsTests
{
    private static readonly CudaOptions graphs = new() { Tf32 = false, Graphs = true };

    private static Dictionary<string, Tensor> Batch(int length, int seed = 1)
    {
        var random = new Random(seed);
        long[] ids = [.. Enumerable.Range(0, 2 * length).Select(_ => (long)random.Next(24))];
        return new() { ["input_ids"] = Tensor.From<long>("input_ids", ids, 2, length), ["labels"] = Tensor.From<long>("labels", ids, 2, length) };
    }

    private static int[][] EveryThird(TrainingSession session, int from) => [.. session.Weights.Select(w => Enumerable.Range(0, (int)w.Count / 3).Select(i => (3 * i) + from).ToArray())];

    private static void Choose(TrainingSession session, int from) => session.SetMasks(session.Weights.Zip(EveryThird(session, from)).ToDictionary(p => p.First.Name, p => (int[]?)p.Second));

    [TestMethod]
    public void A_shape_is_recorded_when_it_comes_again_and_keeps_its_number()
    {
        using var tiny = new TinyRun();
        var recorder = new SimulatedRecorder();
        using CudaDevice device = SimulatedGpu.Open(graphs, recorder), plain = SimulatedGpu.Open(new() { Tf32 = false });
        using TrainingSession session = TrainingSession.Open(ArtifactFolder.Open(tiny.Artifacts), device), expected = TrainingSession.Open(ArtifactFolder.Open(tiny.Artifacts), plain);
        Choose(session, 0);
        Choose(expected, 0);
        foreach (var (i, length) in new[] { 4, 6, 4, 4, 6, 5, 4, 6 }.Index())
        {
            Assert.AreEqual(expected.Step(Batch(length, i)), session.Step(Batch(length, i)), $"step {i}");
            CollectionAssert.AreEqual(expected.Gradients.Get(), session.Gradients.Get(), $"step {i}");
        }
        CollectionAssert.AreEqual(new[] { 0, 0, 1, 1, 2, 0, 1, 2 }, recorder.Runs);
        Assert.AreEqual(new Recording(null, 2), session.Recording);
        Assert.AreEqual("cuda:0 records none", expected.Recording.WhyNot);

        Choose(session, 1); // other positions, as many: they lie where the others lay
        Choose(expected, 1);
        Assert.AreEqual(expected.Step(Batch(4, 9)), session.Step(Batch(4, 9)));
        CollectionAssert.AreEqual(expected.Gradients.Get(), session.Gradients.Get(), "new positions");
        Assert.AreEqual(1, recorder.Runs[^1], "replayed after a refresh");

        session.Step([(Batch(4), 1), (Batch(4, 2), 1)]); // gradients go elsewhere where several are summed: another recording, the same in both
        CollectionAssert.AreEqual(new[] { 3, 3 }, recorder.Runs[^2..]);
        session.Step(Batch(4));
        Assert.AreEqual(1, recorder.Runs[^1]);
    }

    /// <summary>The loss's scale is an input like any other: it changes from step to step under one recording.</summary>
    [TestMethod]
    public void A_scale_of_the_loss_needs_no_new_recording()
    {
        using var tiny = new TinyRun();
        var recorder = new SimulatedRecorder();
        using CudaDevice device = SimulatedGpu.Open(graphs, recorder), plain = SimulatedGpu.Open(new() { Tf32 = false });
        using TrainingSession session = TrainingSession.Open(ArtifactFolder.Open(tiny.Artifacts), device, new() { ScaleLoss = true }), expected = TrainingSession.Open(ArtifactFolder.Open(tiny.Artifacts), plain, new() { ScaleLoss = true });
        float[]? unscaled = null;
        foreach (double scale in new[] { 1.0, 3, 1, 1e-40 })
        {
            (session.LossScale, expected.LossScale) = (scale, scale);
            Assert.AreEqual(expected.Step(Batch(4)), session.Step(Batch(4)));
            CollectionAssert.AreEqual(expected.Gradients.Get(), session.Gradients.Get(), $"scale {scale}");
            unscaled ??= session.Gradients.Get();
            Assert.AreEqual(scale == 1, unscaled.SequenceEqual(session.Gradients.Get()), $"scale {scale} is in effect: its rounding shows");
        }
        CollectionAssert.AreEqual(new[] { 0, 1, 1, 1 }, recorder.Runs);
    }

    [TestMethod]
    public void Recordings_are_bounded_and_so_is_what_is_remembered()
    {
        var recorder = new SimulatedRecorder();
        using CudaDevice device = SimulatedGpu.Open(graphs, recorder);
        using var runs = new RecordedRuns(device);
        static ValueInfoProto Value(string name, params TensorShapeProto.Types.Dimension[] dims) => new() { Name = name, Type = new() { TensorType = new() { ElemType = (int)ElementType.Float, Shape = new() { Dim = { dims } } } } };
        var model = new ModelProto
        {
            IrVersion = 8,
            OpsetImport = { new OperatorSetIdProto { Version = 17 } },
            Graph = new GraphProto { Name = "sum", Input = { Value("x", new TensorShapeProto.Types.Dimension { DimParam = "n" }) }, Output = { Value("y") }, Node = { new NodeProto { OpType = "ReduceSum", Input = { "x" }, Output = { "y" }, Attribute = { new AttributeProto { Name = "keepdims", Type = AttributeProto.Types.AttributeType.Int } } } } },
        };
        using BoundSession session = runs.Open(model, ["x"], [], records => new BoundSession(model, device, "sum", trainingOperators: false, records: records));
        using DeviceBuffer<float> sum = device.Allocate<float>(1);
        session.Output("y", sum.Pointer, sizeof(float), ElementType.Float, []);
        void Run(int length)
        {
            runs.Bind(session, [("x", Tensor.From<float>("x", [.. Enumerable.Repeat(1f, length)], length))]);
            runs.Run(session, "sum", wait: true);
            Assert.AreEqual(length, sum.Get()[0]);
        }
        for (int round = 0; round < 3; round++)
        {
            for (int length = 1; length <= RecordedRuns.Most + 4; length++) Run(length);
        }
        int[] numbers = [.. Enumerable.Range(1, RecordedRuns.Most), 0, 0, 0, 0];
        CollectionAssert.AreEqual((int[])[.. new int[RecordedRuns.Most + 4], .. numbers, .. numbers], recorder.Runs);
        Assert.AreEqual(new Recording(null, RecordedRuns.Most), runs.State);

        recorder.Runs.Clear();
        for (int length = 100; length < 100 + RecordedRuns.MostSeen; length++) Run(length); // none comes twice
        Run(RecordedRuns.Most);
        Assert.AreEqual(RecordedRuns.Most, recorder.Runs[^1], "what is recorded is not forgotten");
        Assert.AreEqual(0, recorder.Runs[..^1].Max());
    }

    [TestMethod]
    public void A_whole_run_gives_the_same_bits_and_its_refreshes_need_no_new_recordings()
    {
        using var tiny = new TinyRun();
        TrainingOptions options = TinyRun.Options with { Steps = 8, Interval = 3, Accumulate = 1 };
        using (CudaDevice plain = SimulatedGpu.Open(new() { Tf32 = false })) tiny.Train("plain", options, on: plain);
        var recorder = new SimulatedRecorder();
        using (CudaDevice device = SimulatedGpu.Open(graphs, recorder)) tiny.Train("recorded", options, on: device);
        Dictionary<string, float[]> expected = tiny.Weights("plain"), actual = tiny.Weights("recorded");
        foreach (var (name, values) in expected) CollectionAssert.AreEqual(values, actual[name], name);
        Assert.IsTrue(recorder.Runs.Max() is > 0 and < 6, string.Join(' ', recorder.Runs));
    }

    [TestMethod]
    public void Where_the_runtime_refuses_the_session_runs_plainly_and_says_why()
    {
        using var tiny = new TinyRun();
        var recorder = new SimulatedRecorder { Refusal = "cannot use the graph capture feature: MemcpyToHost" };
        using CudaDevice device = SimulatedGpu.Open(graphs, recorder);
        using TrainingSession session = TrainingSession.Open(ArtifactFolder.Open(tiny.Artifacts), device);
        for (int i = 0; i < 3; i++) session.Step(Batch(4));
        Assert.HasCount(0, recorder.Runs, "not run as a session that records");
        StringAssert.Contains(session.Recording.WhyNot, "MemcpyToHost");
        Assert.AreEqual(0, session.Recording.Shapes);
    }

    [TestMethod]
    public void Where_recording_fails_the_step_is_computed_all_the_same()
    {
        using var tiny = new TinyRun();
        var recorder = new SimulatedRecorder { Fails = 1 };
        using CudaDevice device = SimulatedGpu.Open(graphs, recorder), plain = SimulatedGpu.Open(new() { Tf32 = false });
        using TrainingSession session = TrainingSession.Open(ArtifactFolder.Open(tiny.Artifacts), device), expected = TrainingSession.Open(ArtifactFolder.Open(tiny.Artifacts), plain);
        for (int i = 0; i < 4; i++)
        {
            Assert.AreEqual(expected.Step(Batch(4, i)), session.Step(Batch(4, i)), $"step {i}");
            CollectionAssert.AreEqual(expected.Gradients.Get(), session.Gradients.Get(), $"step {i}");
        }
        CollectionAssert.AreEqual(new[] { 0, 1 }, recorder.Runs);
        Assert.AreEqual("recording failed: operation not permitted when stream is capturing", session.Recording.WhyNot);
    }

    [TestMethod]
    public void What_forbids_it_is_told_by_name()
    {
        static NodeProto Of(string op, params string[] inputs) => new() { OpType = op, Name = $"the {op}", Input = { inputs }, Output = { "y" } };
        static TensorProto Constant(string name, byte value) => new() { Name = name, DataType = (int)ElementType.Bool, RawData = Google.Protobuf.ByteString.CopyFrom(value) };
        static string? Why(NodeProto node, params string[] readBack) => RecordableModel.WhyNot(new ModelProto { Graph = new GraphProto { Node = { Of("MatMul", "a", "b"), node }, Initializer = { Constant("on", 1), Constant("off", 0) } } }, readBack);

        Assert.IsNull(Why(Of("Shape", "x")), "sizes are computed on the host, once");
        Assert.IsNull(Why(Of("Dropout", "x", "ratio")));
        Assert.IsNull(Why(Of("Dropout", "x", "ratio", "off")));
        Assert.IsNull(Why(Of("Dropout", "x", "off", "on")), "a ratio of 0");
        Assert.AreEqual("Dropout 'the Dropout' draws new numbers in every run", Why(Of("Dropout", "x", "ratio", "on")));
        Assert.AreEqual("Dropout 'the Dropout' draws new numbers in every run", Why(Of("Dropout", "x", "ratio", "training")));
        Assert.AreEqual("BiasDropout 'the BiasDropout' draws new numbers in every run", Why(Of("BiasDropout", "x", "b", "", "", "on")));
        Assert.AreEqual("RandomNormalLike 'the RandomNormalLike' draws new numbers in every run", Why(Of("RandomNormalLike", "x")));
        Assert.AreEqual("NonZero 'the NonZero' has a result whose size follows from values", Why(Of("NonZero", "x")));
        Assert.AreEqual("output 'logits' is read back after each run", Why(Of("Relu", "x"), "logits"));
        NodeProto branch = Of("If", "on");
        branch.Attribute.Add(new AttributeProto { Name = "then_branch", G = new GraphProto() });
        Assert.AreEqual("If 'the If' decides on the host what runs", Why(branch));
    }

    [TestMethod]
    public void The_providers_options_say_so()
    {
        using CudaDevice device = SimulatedGpu.Open(graphs);
        Assert.AreEqual("1", CudaProvider.Settings(device, records: true)["enable_cuda_graph"]);
        Assert.IsFalse(CudaProvider.Settings(device).ContainsKey("enable_cuda_graph"), "sessions that only evaluate record nothing");
        Assert.AreEqual(("-1", "1", "7"), (GraphId.Of(0), GraphId.Of(1), GraphId.Of(7)));
        Assert.IsTrue(device.Records);
        using CudaDevice plain = SimulatedGpu.Open();
        Assert.IsFalse(plain.Records, "off unless it is asked for");
    }

    /// <summary>Replays go on using the working memory that they were recorded with.</summary>
    [TestMethod]
    public void Working_memory_that_grew_stays_for_recorded_runs()
    {
        using CudaDevice device = SimulatedGpu.Open(graphs);
        long free = device.Memory.Free;
        device.Scratch(2 << 20);
        device.Scratch(3 << 20);
        Assert.AreEqual(free - (6 << 20), device.Memory.Free, "the first piece, and twice as much");
    }

    /// <summary>The same numbers lie once on the device, and writing them asks nothing of the host's memory.</summary>
    [TestMethod]
    public void Constants_are_brought_once()
    {
        using CudaDevice device = SimulatedGpu.Open();
        nint first = device.Constant([1, 2, 3]);
        Assert.AreNotEqual(first, device.Constant([1, 2, 4]));
        GpuCalls before = SimulatedGpu.Calls;
        Assert.AreEqual(first, device.Constant([1, 2, 3]));
        Assert.AreEqual(0, (SimulatedGpu.Calls - before).ToDevice);
        CollectionAssert.AreEqual(new long[] { 1, 2, 3 }, device.Read<long>(first, 3));
    }
}
