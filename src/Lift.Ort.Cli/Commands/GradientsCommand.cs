using System.CommandLine;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift gradients</c>: one forward and backward pass.</summary>
internal sealed class GradientsCommand : LiftCommand
{
    private readonly Argument<string> folder = new("DIR") { Description = "A folder that `lift prepare` made." };
    private readonly Option<string> inputs = new("--inputs") { Description = "JSON file with each input and labels: {\"input_ids\": {\"dtype\": \"int64\", \"shape\": [1, 2], \"data\": [5, 6]}, …}.", Required = true, HelpName = "FILE.json" };
    private readonly Option<string> result = Choices.Out("The safetensors file to write: the dense float32 gradient of every trainable weight under its own name.");
    private readonly Option<string> device = Choices.Device();

    public GradientsCommand() : base("gradients", "Computes the loss and the dense gradient of every trainable weight for one batch; the last line is JSON with the loss.",
        "lift gradients prepared --inputs batch.json -o gradients.safetensors")
    {
        Add(folder);
        foreach (Option option in new Option[] { inputs, result, device }) Add(option);
    }

    protected override unsafe void Run(ParseResult line, Output output, CancellationToken stop)
    {
        string file = OutputPath.Apart(line.GetValue(result)!, line.GetValue(inputs), line.GetValue(folder));
        var batch = InputsFile.Read(line.GetValue(inputs)!);
        ArtifactFolder artifacts = ArtifactFolder.Open(line.GetValue(folder)!);
        using IDevice open = Ort.Devices.Device.Open(line.GetValue(device)!);
        using TrainingSession session = TrainingSession.Open(artifacts, open);
        float loss = session.Step(batch);
        Tensor[] gradients = [.. session.Slices.Select(s => Host(session.Gradients, s))];
        Safetensors.Write(file, gradients, new Dictionary<string, string> { ["loss"] = loss.ToString("R") });
        output.Json(new { loss, gradients = gradients.Length, file });
    }

    /// <summary>A weight's part of the gradient vector in host memory.</summary>
    private static unsafe Tensor Host(DeviceBuffer<float> all, GradientSlice slice)
    {
        Tensor gradient = Tensor.Empty(slice.Weight.Name, ElementType.Float, slice.Weight.Dims);
        const int Piece = 1 << 28;
        for (long at = 0; at < slice.Count; at += Piece)
            all.CopyTo(new Span<float>((float*)gradient.Data + at, (int)Math.Min(Piece, slice.Count - at)), slice.Offset + at);
        return gradient;
    }
}
