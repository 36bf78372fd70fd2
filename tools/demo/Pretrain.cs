using Lift.Ort.Architectures;
using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Training;

namespace Lift.Ort.Demo;

/// <summary>How tools/demo/model.onnx was made: a small Llama with random weights, trained on the source domain with our own trainer. A run that was stopped goes on.</summary>
internal static class Pretrain
{
    private static readonly LlamaShape shape = new(Width: 96, Layers: 4, Heads: 4, KvHeads: 4, Ffn: 256, Vocab: 259, Tied: false);

    public static void Run(string folder, string model, int steps, IDevice device, CancellationToken stop)
    {
        Directory.CreateDirectory(folder);
        string start = Path.Combine(folder, "start.onnx"), prepared = Path.Combine(folder, "prepared"), run = Path.Combine(folder, "run");
        using TrainingRun training = Directory.Exists(run) ? TrainingRun.Resume(run, device) : Begin();
        training.Trainer.Happened += what =>
        {
            if (what is Validated || what.Step % 100 == 0) Console.WriteLine(RunLog.ToLine(what));
        };
        training.Train(stop);
        RunExport.Write(run, model);

        TrainingRun Begin()
        {
            Row.Write(Path.Combine(folder, "source.jsonl"), new Corpus(seed: 1).Rows(200_000));
            Row.Write(Path.Combine(folder, "held.jsonl"), new Corpus(seed: 2).Rows(1_000));
            NewModel.WriteLlama(start, shape, ElementType.Float, seed: 1);
            ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(start), new() { Train = ["*"] }), start, prepared);
            var options = new TrainingOptions { Steps = steps, Selection = "full", LearningRate = 3e-3, Schedule = ScheduleKind.Cosine, Warmup = 100, Interval = 0, SaveEvery = 250, ValidateEvery = 250, Optimizer = new() { Form = Sparse.AdamWForm.Torch, ClipNorm = 1, WeightDecay = 0.01 } };
            return TrainingRun.Start(run, new RunSettings(prepared, Path.Combine(folder, "source.jsonl"), "bytes", Path.Combine(folder, "held.jsonl"), new DataOptions { Batch = 64, Seed = 1 }, options), device);
        }
    }
}
