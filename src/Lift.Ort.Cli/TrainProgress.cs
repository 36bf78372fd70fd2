using Lift.Ort.Training;
using Spectre.Console;

namespace Lift.Ort.Cli;

/// <summary>The bar that a run shows on standard error: step, loss, speed, time left.</summary>
internal static class TrainProgress
{
    /// <summary>Trains with the bar.</summary>
    /// <returns>True when all steps are done, false when stopped.</returns>
    public static bool Show(TrainingRun training, IAnsiConsole console, CancellationToken stop) => console.Progress()
        .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
        .Start(context =>
        {
            ProgressTask bar = context.AddTask("choosing entries", maxValue: training.Trainer.Steps);
            bar.Value = training.Trainer.Step;
            bool wide = console.Profile.Width >= 72; // room for a bar, the share and the time beside the words
            training.Trainer.Happened += what =>
            {
                bar.Description = Words(what, training.Trainer.Steps, wide) ?? bar.Description;
                bar.Value = what.Step;
            };
            return training.Train(stop);
        });

    private static string? Words(RunEvent what, int steps, bool wide) => what switch
    {
        StepDone s => FormattableString.Invariant($"step {s.Step}/{steps}  loss {s.Loss:F4}{(wide ? $"  {s.TokensPerS:F0} tokens/s" : "")}"),
        _ => null,
    };
}
