namespace Lift.Ort.Training;

/// <summary>How the learning rate goes on after the warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>lr</summary>
    Constant,

    /// <summary>lr · (steps − t) / (steps − warmup): the published LIFT runs.</summary>
    Linear,

    /// <summary>lr · (1 + cos(π · (t − warmup) / (steps − warmup))) / 2</summary>
    Cosine,
}

/// <summary>
/// The learning rate of every step. Step n counts from 1 and t = n − 1: lr · t / warmup while t &lt; warmup, then as <see cref="ScheduleKind"/> says.
/// With a warm-up the first step therefore has learning rate 0 but does update the moments, as with a PyTorch scheduler stepped after the optimizer.
/// </summary>
public sealed record Schedule(ScheduleKind Kind, double LearningRate, int Steps, int Warmup)
{
    /// <summary>Warm-up steps of a setting that is a share of all steps below 1 (rounded up, as the published runs do) and a number of steps from 1 on.</summary>
    public static int WarmupSteps(double warmup, int steps) => (int)(warmup < 1 ? Math.Ceiling(warmup * steps) : warmup);

    /// <summary>The learning rate of step <paramref name="step"/>, counted from 1.</summary>
    public double At(int step)
    {
        int t = step - 1;
        if (t < Warmup) return LearningRate * t / Warmup;
        return Kind switch
        {
            ScheduleKind.Linear => LearningRate * (Steps - t) / (Steps - Warmup),
            ScheduleKind.Cosine => LearningRate * (1 + Math.Cos(Math.PI * (t - Warmup) / (Steps - Warmup))) / 2,
            _ => LearningRate,
        };
    }
}
