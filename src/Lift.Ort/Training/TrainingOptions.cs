using System.Globalization;
using System.Text.Json.Serialization;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;

namespace Lift.Ort.Training;

/// <summary>How the losses of the micro-batches of a step are averaged.</summary>
public enum LossAverage
{
    /// <summary>Mean over the counted labels of a micro-batch, then over micro-batches: the published LIFT runs.</summary>
    Example,

    /// <summary>Mean over the counted labels of all micro-batches together.</summary>
    Token,
}

/// <summary>Everything that a run can be told. Defaults are the published LIFT runs' where those agree.</summary>
public sealed record TrainingOptions
{
    /// <summary>Optimizer steps; default null: as many as <see cref="Epochs"/> makes.</summary>
    public int? Steps { get; init; }

    /// <summary>Passes over the data, fractions allowed; default 3. <see cref="Steps"/> overrides it.</summary>
    public double Epochs { get; init; } = 3;

    /// <summary>Micro-batches whose gradients make one step; default 1.</summary>
    public int Accumulate { get; init; } = 1;

    /// <summary>Default <see cref="LossAverage.Example"/>. Without accumulation both are the same.</summary>
    public LossAverage Average { get; init; } = LossAverage.Example;

    /// <summary>The highest learning rate; default 2e-4.</summary>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>What follows the warm-up; default linear decay to 0.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Linear;

    /// <summary>Warm-up: a share of all steps when below 1, a number of steps from 1 on; default 0.03.</summary>
    public double Warmup { get; init; } = 0.03;

    /// <summary>Which entries are trained; default <c>lift</c>.</summary>
    public string Selection { get; init; } = "lift";

    /// <summary>How many entries of each weight; default 5 %. Selection <c>full</c> takes every entry whatever it says.</summary>
    public Budget Budget { get; init; } = Budget.Density(0.05);

    /// <summary>Rank r of the low-rank approximation whose largest entries are trained; default 128.</summary>
    public int FilterRank { get; init; } = 128;

    /// <summary>Steps between choices of entries: they are chosen anew after step t when t + 1 is a multiple; 0: never again; default 200.</summary>
    public int Interval { get; init; } = 200;

    /// <summary>Seed of everything random in the choice of entries; default 1. (The order of the data has its own.)</summary>
    public int Seed { get; init; } = 1;

    /// <summary>What the backward pass computes again instead of keeping it in memory; default nothing. Loss and gradients are the same.</summary>
    public Recompute Recompute { get; init; }

    /// <summary>AdamW's numbers and clipping; default null: what the optimizer model of a folder says that another program made, else betas 0.9 and 0.95, ε 1e-6, no weight decay, no clipping, PyTorch's form for selection <c>full</c> and Hugging Face's otherwise.</summary>
    public AdamWOptions? Optimizer { get; init; }

    /// <summary>What the loss is multiplied by where gradients pass through float16 values, be the weights themselves float32: <c>auto</c> (the default: 2¹⁶, halved at overflows, doubled after 2000 good steps), <c>off</c>, or a number.</summary>
    public string LossScale { get; init; } = "auto";

    /// <summary>Steps between checkpoints; 0 (the default): only at the end and when stopped.</summary>
    public int SaveEvery { get; init; }

    /// <summary>Steps between losses on the validation data; 0 (the default): before the first and after the last step.</summary>
    public int ValidateEvery { get; init; }

    /// <summary><see cref="Optimizer"/>, or the default for <see cref="Selection"/>.</summary>
    [JsonIgnore]
    public AdamWOptions AdamW => Optimizer ?? new AdamWOptions { Form = Selection == "full" ? AdamWForm.Torch : AdamWForm.Hf };

    /// <summary>Optimizer steps of a run over data of <paramref name="batchesPerEpoch"/> micro-batches.</summary>
    public int StepsFor(int batchesPerEpoch) => Steps ?? Math.Max(1, (int)Math.Ceiling(Epochs * batchesPerEpoch / Accumulate));

    /// <summary>How entries are chosen, as the selections read it.</summary>
    public SelectionOptions Choice() => new() { Selection = Selection, Budget = Budget, FilterRank = FilterRank, Seed = Seed };

    /// <summary>Checks all options before work starts.</summary>
    /// <exception cref="LiftException">Options are out of range; one message names all of them with their values.</exception>
    public TrainingOptions Check()
    {
        var problems = new List<string>();
        Require(Steps is null or >= 1, "steps", Steps, "1 or more");
        Require(Steps is not null || (Epochs > 0 && double.IsFinite(Epochs)), "epochs", Epochs, "more than 0");
        Require(Accumulate >= 1, "accumulate", Accumulate, "1 or more");
        Require(LearningRate > 0 && double.IsFinite(LearningRate), "lr", LearningRate, "more than 0");
        Require(Warmup >= 0 && double.IsFinite(Warmup), "warmup", Warmup, "a share from 0 to below 1 or a number of steps");
        Require(Steps is null || Warmup <= Steps, "warmup", Warmup, $"no more than the {Steps} steps of the run");
        Require(MaskSelector.Names.Contains(Selection), "selection", Selection, $"one of {string.Join(", ", MaskSelector.Names)}");
        Require(FilterRank >= 1, "filter-rank", FilterRank, "1 or more");
        Require(Interval >= 0, "interval", Interval, "0 (never) or more");
        Require(LossScaler.IsValid(LossScale), "loss-scale", LossScale, "auto, off or a number above 0");
        Require(SaveEvery >= 0, "save-every", SaveEvery, "0 (only at the end) or more");
        Require(ValidateEvery >= 0, "validate-every", ValidateEvery, "0 (first and last) or more");
        try
        {
            AdamW.Check();
        }
        catch (LiftException e)
        {
            problems.Add(e.Message);
        }
        return problems.Count == 0 ? this : throw new LiftException(string.Join(" ", problems));

        void Require(bool good, string name, object? value, string range)
        {
            if (!good) problems.Add(string.Create(CultureInfo.InvariantCulture, $"Option {name} is {value}; give {range}."));
        }
    }
}
