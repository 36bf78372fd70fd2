using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Gradients;

/// <summary>A case's gradients for gradients dy of its first output that the caller chooses, or adds to.</summary>
internal sealed class GradientProbe(InferenceSession session, Dictionary<string, Tensor> weights, string[] varied, string size) : IDisposable
{
    /// <summary>The input that is added to the weights of the loss's sum over output 0.</summary>
    public const string Added = "added";

    /// <summary>Elements of output 0.</summary>
    public int OutputSize { get { field = field > 0 ? field : (int)Run([0], null, [size])[0][0]; return field; } }

    /// <param name="added">What is added to dy, element by element.</param>
    /// <param name="poison">What stands in the place of the first element of each float input; null: the case's own.</param>
    public float[][] Gradients(float[] added, float? poison = null) => Run(added, poison, [.. varied.Select(TrainingGraph.GradientOf)]);

    private float[][] Run(float[] added, float? poison, string[] outputs)
    {
        var feeds = weights.Where(w => session.InputMetadata.ContainsKey(w.Key)).ToDictionary(w => w.Key, w =>
        {
            float[] values = [.. w.Value.ToFloats()];
            if (poison is { } p && values.Length > 0 && varied.Contains(w.Key)) values[0] = p;
            return OrtValue.CreateTensorValueFromMemory(values, w.Value.Dims);
        });
        if (session.InputMetadata.ContainsKey(Added)) feeds[Added] = OrtValue.CreateTensorValueFromMemory(added, [added.Length]);
        using var run = new RunOptions();
        using var results = session.Run(run, feeds, outputs);
        foreach (OrtValue feed in feeds.Values) feed.Dispose();
        return [.. results.Select(r => r.GetTensorDataAsSpan<float>().ToArray())];
    }

    public void Dispose() => session.Dispose();
}
