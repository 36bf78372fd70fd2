using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Generation;

namespace Lift.Ort.Demo;

/// <summary>What a model can do: the share of target problems it answers exactly, and its losses on the target and on the source domain.</summary>
internal sealed record Measurement(double Score, double TargetLoss, double SourceLoss)
{
    /// <summary>Lets an ONNX model answer the target problems by greedy decoding, and computes both losses, in plain ONNX Runtime.</summary>
    public static Measurement Of(string model, string target, string source, IDevice device)
    {
        using ExportedModel exported = ExportedModel.Open(model, device);
        var tokenizer = new ByteTokenizer();
        var rows = new DataOptions { Batch = 50, Shuffle = false };
        double score = new ExactMatch(exported, tokenizer, rows, new GenerationOptions { MaxNewTokens = 12 }).Score(target, "text").Score;
        return new Measurement(score, Loss(target), Loss(source));

        double Loss(string file)
        {
            var metric = new LossMetric(exported);
            return metric.Score(BatchReader.Open(file, tokenizer, metric.Inputs, metric.Fit(rows)).Epoch()).Loss;
        }
    }
}
