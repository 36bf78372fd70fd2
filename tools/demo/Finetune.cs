using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;
using Lift.Ort.Training;

namespace Lift.Ort.Demo;

/// <summary>How one fine-tuning of the demo is done.</summary>
internal sealed record Method(string Selection, double LearningRate, int Seed);

/// <summary>Fine-tunes the demo's model on the target domain and measures before, between and after.</summary>
internal sealed class Finetune(string model, string folder, IDevice device)
{
    public const int Steps = 400, Batch = 16, TrainingProblems = 1000, TestProblems = 200;

    public string Train => Path.Combine(folder, "train.jsonl");

    public string Test => Path.Combine(folder, "test.jsonl");

    public string Source => Path.Combine(folder, "source.jsonl");

    public void WriteData()
    {
        Directory.CreateDirectory(folder);
        var (train, test) = Problems.Make(TrainingProblems, TestProblems, seed: 3);
        Row.Write(Train, train);
        Row.Write(Test, test);
        Row.Write(Source, new Corpus(seed: 2).Rows(1000));
    }

    public Measurement Measure(string path) => Measurement.Of(path, Test, Source, device);

    /// <summary>One run; its folder is named after the method, the model is <c>NAME.onnx</c>, the patch <c>NAME.safetensors</c>.</summary>
    public Measurement Run(string name, Method method)
    {
        string run = Path.Combine(folder, name), tuned = Path.Combine(folder, $"{name}.onnx");
        var options = new TrainingOptions
        {
            Steps = Steps,
            Selection = method.Selection,
            Budget = Budget.Density(0.05),
            FilterRank = 24,
            Interval = 100,
            LearningRate = method.LearningRate,
            Seed = method.Seed,
        };
        using (TrainingRun training = TrainingRun.Start(run, new RunSettings(Prepare(method.Selection == "full"), Train, "bytes", null, new DataOptions { Batch = Batch, Seed = (ulong)method.Seed }, options), device, force: true)) training.Train();
        RunExport.Write(run, tuned, Path.Combine(folder, $"{name}.safetensors"));
        return Measure(tuned);
    }

    /// <summary>LIFT and random masks train entries of the linear layers of attention and MLP; full fine-tuning trains everything.</summary>
    private string Prepare(bool everything)
    {
        string prepared = Path.Combine(folder, everything ? "prepared-full" : "prepared");
        if (!Directory.Exists(prepared)) ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(model), everything ? Pretrain.Everything : new()), model, prepared);
        return prepared;
    }
}
