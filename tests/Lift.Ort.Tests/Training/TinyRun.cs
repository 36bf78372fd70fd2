using Lift.Ort.Architectures;
using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

/// <summary>A prepared language model of some thousand weights and rows to train it on, in a temporary folder; a step takes a millisecond.</summary>
internal sealed class TinyRun : IDisposable
{
    private readonly TempFolder temp = TestFiles.Temp();

    /// <param name="type">Of the weights.</param>
    public TinyRun(ElementType type = ElementType.Float)
    {
        NewModel.WriteLlama(Model, new LlamaShape(Width: 16, Layers: 2, Heads: 2, KvHeads: 1, Ffn: 24, Vocab: 24, Tied: false), type, seed: 3, attentionMask: false);
        ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(Model)), Model, Artifacts);
        var random = new Random(5);
        File.WriteAllLines(Data, Enumerable.Range(0, 11).Select(_ =>
        {
            int first = random.Next(24), length = random.Next(4, 12);
            return $$"""{"input_ids":[{{string.Join(',', Enumerable.Range(0, length).Select(i => (first + 5 * i) % 24))}}]}""";
        }));
        Settings = new RunSettings(Artifacts, Data, "none", null, new DataOptions { Batch = 2, Seed = 7 }, Options);
    }

    public static TrainingOptions Options => new() { Steps = 9, LearningRate = 0.01, Warmup = 2, Interval = 3, FilterRank = 4, Budget = Ort.Sparse.Budget.Density(0.2), Accumulate = 2 };

    public string Model => temp["model.onnx"];

    public string Artifacts => temp["prepared"];

    public string Data => temp["rows.jsonl"];

    public string this[string name] => temp[name];

    public RunSettings Settings { get; }

    public static IDevice Device { get; } = Ort.Devices.Device.Open();

    /// <summary>Begins a run and trains it, to the end or until the event that <paramref name="stopAt"/> picks.</summary>
    public string Train(string name, TrainingOptions options, Func<RunEvent, bool>? stopAt = null, IDevice? on = null)
    {
        using TrainingRun run = TrainingRun.Start(temp[name], Settings with { Training = options }, on ?? Device);
        return Finish(run, stopAt);
    }

    public string Resume(string name, IDevice? on = null)
    {
        using TrainingRun run = TrainingRun.Resume(temp[name], on ?? Device);
        return Finish(run, null);
    }

    /// <summary>The weights of a run's checkpoint, by name.</summary>
    public Dictionary<string, float[]> Weights(string run)
    {
        RunExport.Write(temp[run], temp["exported.onnx"]);
        return OnnxFile.Read(temp["exported.onnx"]).Initializers.Where(i => i.Value.Type.IsFloat()).ToDictionary(i => i.Key, i => i.Value.ToFloats());
    }

    public void Dispose() => temp.Dispose();

    private static string Finish(TrainingRun run, Func<RunEvent, bool>? stopAt)
    {
        using var stop = new CancellationTokenSource();
        run.Trainer.Happened += what =>
        {
            if (stopAt?.Invoke(what) == true) stop.Cancel();
        };
        Assert.AreEqual(stopAt is null, run.Train(stop.Token));
        return run.Folder.FullPath;
    }
}
