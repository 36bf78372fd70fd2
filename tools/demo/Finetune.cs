using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;
using Lift.Ort.Training;

namespace Lift.Ort.Demo;

/// <summary>A way to fine-tune, with the learning rate that a pilot found best for it.</summary>
internal sealed record Method(string Selection, double LearningRate)
{
    public static readonly Method Lift = new("lift", 8e-3), Random = new("random", 16e-3) { Interval = 0 }, Full = new("full", 1e-3), FullGently = new("full", 3e-4);

    /// <summary>Optimizer steps; all methods take the same.</summary>
    public int Steps { get; init; } = 400;

    /// <summary>Steps between choices of entries; the random mask is drawn once, since drawn anew it would train more entries in all.</summary>
    public int Interval { get; init; } = 100;
}

/// <summary>A measurement during a run.</summary>
internal sealed record Point(int Step, Measurement Measured);

/// <summary>Fine-tunes the demo's model on the target domain and measures it in plain ONNX Runtime.</summary>
internal sealed class Finetune(string model, string folder, IDevice device)
{
    private const double Density = 0.05;

    /// <summary>Training problems, test problems, and rows of the source domain that the model was not trained on.</summary>
    public string Train => Path.Combine(folder, "train.jsonl");

    public string Test => Path.Combine(folder, "test.jsonl");

    public string Source => Path.Combine(folder, "source.jsonl");

    /// <param name="seed">Of the target's problems.</param>
    public void WriteData(int seed)
    {
        Directory.CreateDirectory(folder);
        var (train, test) = Problems.Make(train: 2000, test: 400, seed);
        Row.Write(Train, train);
        Row.Write(Test, test);
        Row.Write(Source, new Corpus(seed: 2).Rows(1000));
    }

    public Measurement Measure(string path) => Measurement.Of(path, Test, Source, device);

    /// <summary>One run in the folder NAME; the model is NAME.onnx, the patch NAME.safetensors.</summary>
    /// <param name="every">Steps between measurements; 0: only at the end.</param>
    public IReadOnlyList<Point> Run(string name, Method method, int seed, int every = 0)
    {
        string run = Path.Combine(folder, name), tuned = Path.Combine(folder, $"{name}.onnx");
        var options = new TrainingOptions
        {
            Steps = method.Steps,
            Selection = method.Selection,
            Budget = Budget.Density(Density),
            FilterRank = 32,
            Interval = method.Interval,
            LearningRate = method.LearningRate,
            Seed = seed,
            SaveEvery = every,
        };
        var settings = new RunSettings(Prepare(method.Selection == "full"), Train, "bytes", null, new DataOptions { Batch = 16, Seed = (ulong)seed }, options);
        var points = new List<Point>();
        using TrainingRun training = TrainingRun.Start(run, settings, device, force: true);
        training.Trainer.SaveDue += () =>
        {
            RunExport.Write(run, tuned, Path.Combine(folder, $"{name}.safetensors"));
            points.Add(new Point(training.Trainer.Step, Measure(tuned)));
        };
        training.Train();
        return points;
    }

    /// <summary>LIFT and random masks train entries of the linear layers of attention and MLP; full fine-tuning trains every weight.</summary>
    private string Prepare(bool everything)
    {
        string prepared = Path.Combine(folder, everything ? "prepared-full" : "prepared");
        if (!Directory.Exists(prepared)) ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(model), new() { Train = everything ? ["*"] : [] }), model, prepared);
        return prepared;
    }
}
