using Lift.Ort.Artifacts;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Sessions;

/// <summary>AdamW as PyTorch defines it, in a plain loop over a session's slices: the yardstick of the tests, β 0.9/0.999, no decay.</summary>
internal sealed class PlainAdamW(TrainingSession session, double learningRate, double epsilon = 1e-8)
{
    private readonly Dictionary<string, (double[] M, double[] V)> moments = session.Slices.ToDictionary(s => s.Weight.Name, s => (new double[s.Count], new double[s.Count]));
    private int step;

    /// <summary>Takes over recorded moments.</summary>
    public PlainAdamW From(IEnumerable<(string Weight, Tensor First, Tensor Second)> states, long steps)
    {
        foreach (var (weight, first, second) in states)
        {
            moments[weight] = (Array.ConvertAll(first.ToFloats(), x => (double)x), Array.ConvertAll(second.ToFloats(), x => (double)x));
        }
        step = (int)steps;
        return this;
    }

    /// <summary>Moments and steps as a checkpoint holds them; for whole weights.</summary>
    public OptimizerGroup State() => new(ArtifactNames.OptimizerGroup, step, (float)learningRate, [.. session.Slices.Select(s => new ParameterMoments(s.Weight.Name,
        [Moment("momentum0", moments[s.Weight.Name].M, s), Moment("momentum1", moments[s.Weight.Name].V, s)]))]);

    private static Tensor Moment(string name, double[] values, GradientSlice slice) => Tensor.From<float>(name, Array.ConvertAll(values, v => (float)v), slice.Weight.Dims);

    public void Step()
    {
        step++;
        var gradients = new float[session.Gradients.Length];
        session.Gradients.CopyTo(gradients);
        foreach (GradientSlice slice in session.Slices)
        {
            Span<float> weight = slice.Weight.Value.AsSpan<float>();
            var positions = new int[slice.Positions?.Length ?? 0];
            slice.Positions?.CopyTo(positions);
            var (m, v) = moments[slice.Weight.Name];
            for (int i = 0; i < slice.Count; i++)
            {
                double g = gradients[slice.Offset + i];
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                double change = learningRate * (m[i] / (1 - Math.Pow(0.9, step))) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.999, step))) + epsilon);
                weight[slice.Positions is null ? i : positions[i]] -= (float)change;
            }
        }
    }
}
