using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Snippets;

/// <summary>The README's C# example: what stands between the marks is the README's text, and runs.</summary>
internal static class ReadmeExample
{
    public static void Run(string model, string rows, string folder)
    {
        // <example>
        Graph graph = OnnxFile.Read(model);
        TrainingGraph training = TrainingGraph.Build(graph, new() { Loss = "causal-lm" });
        string prepared = Path.Combine(folder, "prepared"), run = Path.Combine(folder, "run");
        ArtifactFolder.Create(training, model, prepared);

        using IDevice device = Device.Open("cpu");
        var settings = new RunSettings(prepared, Data: rows, Tokenizer: "none", Validation: null,
            new DataOptions { Batch = 4 },
            new TrainingOptions
            {
                Steps = 20,
                LearningRate = 1e-3,
                Selection = "lift",
                FilterRank = 8,
                Budget = Budget.Density(0.05),
            });
        using (TrainingRun lift = TrainingRun.Start(run, settings, device)) lift.Train();

        SparsePatch patch = RunExport.Write(run, Path.Combine(folder, "fine-tuned.onnx"));
        Console.WriteLine($"{patch.Length} entries of {patch.Entries.Count} weights changed");
        // </example>
    }
}
