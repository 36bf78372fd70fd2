using System.CommandLine;
using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;
using Lift.Ort.Training;
using Spectre.Console;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift train</c>: the run.</summary>
internal sealed class TrainCommand : LiftCommand
{
    private static readonly TrainingOptions defaults = new();
    private static readonly DataOptions rows = new();
    private static readonly AdamWOptions adamW = new();

    private readonly Argument<string> directory = new("DIR") { Description = "Folder that 'lift prepare' made." };
    private readonly Option<string> run = Choices.Out("Folder of the run: settings, log, checkpoint. New, or a run to go on with (--resume) or to replace (--force).");
    private readonly Option<string?> data = new("--data") { Description = $"{DataChoices.Forms}: the rows to learn from.", HelpName = "FILE" };
    private readonly Option<string> tokenizer = new("--tokenizer") { Description = "A Hugging Face folder, a SentencePiece .model file, a vocab.json of letters, bytes, or none (rows of ready tokens, or no text at all).", DefaultValueFactory = _ => "none", HelpName = "SPEC" };
    private readonly Option<string?> validation = new("--validation") { Description = "File with rows whose loss is measured before, during and after the run.", HelpName = "FILE" };
    private readonly Option<int> validateEvery = Number("--validate-every", "Steps between losses on the validation rows; 0: only first and last.", defaults.ValidateEvery);
    private readonly Option<int?> steps = new("--steps") { Description = "Optimizer steps (overrides --epochs).", HelpName = "N" };
    private readonly Option<double> epochs = Number("--epochs", "Passes over the data.", defaults.Epochs);
    private readonly Option<int> batch = Number("--batch", "Rows of a micro-batch.", rows.Batch);
    private readonly Option<int> accumulate = Number("--accumulate", "Micro-batches whose gradients make one step.", defaults.Accumulate);
    private readonly Option<LossAverage> average = Choices.Word("--average", "Mean of the loss over micro-batches (example, as the published runs) or over all tokens of a step (token).", defaults.Average);
    private readonly Option<int> maxLength = Number("--max-length", "Tokens at which a row is cut.", rows.MaxLength);
    private readonly Option<PromptTemplate> template = Choices.Word("--template", "How instructions become prompts: clean, or paper (as the published runs, to the space).", rows.Template);
    private readonly Option<bool> shuffle = new("--shuffle") { Description = "A new order every epoch, rows of like length together (the default)." };
    private readonly Option<bool> noShuffle = new("--no-shuffle") { Description = "The order of the file." };
    private readonly DataChoices choices = new();
    private readonly Option<double> lr = Number("--lr", "Highest learning rate.", defaults.LearningRate);
    private readonly Option<ScheduleKind> schedule = Choices.Word("--schedule", "Learning rate after the warm-up: constant, linear or cosine.", defaults.Schedule);
    private readonly Option<double> warmup = Number("--warmup", "Warm-up: a share of the steps below 1, a number of steps from 1 on.", defaults.Warmup);
    private readonly Option<string> selection = Choices.OneOf("--selection", "Which entries of the weights are trained.", defaults.Selection, [.. MaskSelector.Names]);
    private readonly Option<int?> rank = new("--rank") { Description = "Entries per weight as a LoRA of this rank has parameters; 0: all.", HelpName = "R" };
    private readonly Option<double?> density = new("--density") { Description = "Share of the entries of each weight; 0.05 where neither is given.", HelpName = "D" };
    private readonly Option<int> filterRank = Number("--filter-rank", "Rank of the approximation whose largest entries are trained.", defaults.FilterRank);
    private readonly Option<int> interval = Number("--interval", "Steps between choices of entries; 0: choose once.", defaults.Interval);
    private readonly Option<int> seed = Choices.Seed(defaults.Seed);
    private readonly Option<AdamWForm?> form = Choices.WordOrNone<AdamWForm>("--form", "How AdamW is written, hf or torch, or sgd for gradient descent; where not given: that of a folder made elsewhere, else torch for selection full and hf otherwise.");
    private readonly Option<double> beta1 = Number("--beta1", "Decay of the first moment.", adamW.Beta1);
    private readonly Option<double> beta2 = Number("--beta2", "Decay of the second moment.", adamW.Beta2);
    private readonly Option<double> epsilon = Number("--epsilon", "AdamW's epsilon.", adamW.Epsilon);
    private readonly Option<double> weightDecay = Number("--weight-decay", "Decoupled weight decay on trained entries.", adamW.WeightDecay);
    private readonly Option<double> clip = Number("--clip", "Largest L2 norm of the gradient; 0: off.", adamW.ClipNorm);
    private readonly Option<double> clipValue = Number("--clip-value", "Largest magnitude of one gradient entry; 0: off.", adamW.ClipValue);
    private readonly Option<string> lossScale = Number("--loss-scale", "What the loss is multiplied by where gradients pass through float16 values (on a GPU): auto, off or a number.", defaults.LossScale);
    private readonly Option<int> saveEvery = Number("--save-every", "Steps between checkpoints; 0: only at the end and when stopped.", defaults.SaveEvery);
    private readonly Option<string?> encoder = Choices.Encoder();
    private readonly Option<bool> resume = new("--resume") { Description = "Go on with the run in this folder, with the settings it was begun with." };
    private readonly Option<bool> force = new("--force") { Description = "Replace the run in this folder." };
    private readonly Option<Recompute> recompute = Choices.Word("--recompute", "What the backward pass computes again to save memory: none, attention or layers.", defaults.Recompute);
    private readonly Option<string> device = Choices.Device();
    private readonly Option<bool> graphs = Choices.Graphs();

    public TrainCommand() : base("train", "Fine-tunes the model of a prepared folder on the rows of a file.",
        "lift train artifacts/model --data train.jsonl --tokenizer bytes -o artifacts/run --steps 200 --lr 1e-3")
    {
        Option[] settings = [data, tokenizer, encoder, steps, epochs, batch, accumulate, average, maxLength, template, shuffle, noShuffle, .. choices.All, lr, schedule, warmup, selection, rank, density,
            filterRank, interval, seed, clip, clipValue, form, beta1, beta2, epsilon, weightDecay, recompute, validation, validateEvery, lossScale, saveEvery];
        Add(directory);
        foreach (Option option in (Option[])[run, .. settings, resume, force, device, graphs]) Add(option);
        Validators.Add(line =>
        {
            if (line.GetValue(rank) is not null && line.GetValue(density) is not null) line.AddError("--rank and --density both say how many entries to train; give one of them.");
            if (line.GetValue(shuffle) && line.GetValue(noShuffle)) line.AddError("--shuffle and --no-shuffle exclude each other; give one of them.");
            if (line.GetValue(resume) && line.GetValue(force)) line.AddError("--resume goes on with a run and --force replaces it; give one of them.");
            if (!line.GetValue(resume) && line.GetValue(data) is null) line.AddError("--data is missing; name the file with the rows to learn from.");
            string changed = string.Join(", ", settings.Where(o => line.GetResult(o) is { Implicit: false }).Select(o => o.Name));
            if (line.GetValue(resume) && changed != "") line.AddError($"{changed} cannot be changed in a run that goes on; leave it out, or begin a new run.");
        });
    }

    protected override bool SavesWhenStopped => true;

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        string folder = line.GetValue(run)!, artifacts = Path.GetFullPath(line.GetValue(directory)!);
        using IDevice chosen = Ort.Devices.Device.Open(line.GetValue(device)!, new CudaOptions { Graphs = line.GetValue(graphs) });
        OptimizerRecipe? recipe = line.GetValue(resume) ? null : RecipeOf(line, artifacts);
        using TrainingRun training = line.GetValue(resume) ? TrainingRun.Resume(folder, chosen, artifacts) : TrainingRun.Start(folder, SettingsOf(line, artifacts, recipe), chosen, line.GetValue(force));
        LogFolder = training.Folder.FullPath;
        Tell(training, output);
        if (recipe is not null) output.Note($"Optimizer of the folder: {Outcome.Describe(training)}{Overridden(line)}.");

        bool done = TrainProgress.Show(training, output.Console, stop);
        if (!done) throw new OperationCanceledException($"Stopped after step {training.Trainer.Step} of {training.Trainer.Steps}, saved; go on with: lift train {line.GetValue(directory)} -o {folder} --resume");

        if (line.GetValue(graphs)) output.Note(training.Recording.WhyNot is { } why ? $"No runs were recorded (--cuda-graphs): {why}." : $"Runs of {training.Recording.Shapes} shapes of batches were recorded and replayed.");
        Outcome outcome = Outcome.Of(training);
        output.Result(outcome, console => console.WriteLine($"Loss {outcome.FirstLoss:F4} → {outcome.Loss:F4} in {outcome.Step} steps{outcome.Words}. Export the model with: lift export {folder} -o MODEL.onnx"));
    }

    private static void Tell(TrainingRun training, Output output)
    {
        var (cut, skipped) = training.Rows;
        if (cut > 0) output.Note($"{cut} rows were cut at {training.Folder.Settings.Rows.MaxLength} tokens (--max-length).");
        if (skipped > 0) output.Note($"{skipped} rows were left out: no label was left after cutting.");
        if (training.Folder.Settings.Encoder is { } frozen) output.Note($"The encoder '{frozen}' stays as it is and runs before each step.");
        if (training.Unreduced is { } idle) output.Note(idle);
        foreach (string found in DataChoices.Describe(training.Folder.Settings.Rows, training.Inputs)) output.Note(found);
        if (training.Trainer.Step > 0) output.Note($"Goes on after step {training.Trainer.Step} of {training.Trainer.Steps}.");
    }

    private Option[] OptimizerOptions => [form, beta1, beta2, epsilon, weightDecay, clip, clipValue, lr, schedule, warmup];

    /// <summary>"; from the command line: --beta2", or nothing.</summary>
    private string Overridden(ParseResult line)
    {
        string[] given = [.. OptimizerOptions.Where(o => Given(line, o)).Select(o => o.Name)];
        return given.Length == 0 ? "" : $"; from the command line: {string.Join(", ", given)}";
    }

    /// <summary>What the folder's own optimizer model says, where another program made it; an optimizer that cannot be run does not matter to who chooses one.</summary>
    private OptimizerRecipe? RecipeOf(ParseResult line, string artifacts)
    {
        try
        {
            return OptimizerRecipe.OfOthers(artifacts);
        }
        catch (LiftException) when (Given(line, form))
        {
            return null;
        }
    }

    private static bool Given(ParseResult line, Option option) => line.GetResult(option) is { Implicit: false };

    private static T Value<T>(ParseResult line, Option<T> option, T otherwise) => Given(line, option) ? line.GetValue(option)! : otherwise;

    /// <summary>The folder's recipe, or our defaults, with what the command line says in its place.</summary>
    private AdamWOptions OptimizerOf(ParseResult line, OptimizerRecipe? recipe)
    {
        AdamWOptions start = recipe is null ? new() { Form = line.GetValue(selection) == "full" ? AdamWForm.Torch : AdamWForm.Hf } : AdamWOptions.Of(recipe);
        return start with
        {
            Form = line.GetValue(form) ?? start.Form,
            Beta1 = Value(line, beta1, start.Beta1),
            Beta2 = Value(line, beta2, start.Beta2),
            Epsilon = Value(line, epsilon, start.Epsilon),
            WeightDecay = Value(line, weightDecay, start.WeightDecay),
            ClipNorm = Value(line, clip, start.ClipNorm),
            ClipValue = Value(line, clipValue, start.ClipValue),
        };
    }

    private RunSettings SettingsOf(ParseResult line, string artifacts, OptimizerRecipe? recipe) => new(
        artifacts,
        Path.GetFullPath(line.GetValue(data)!),
        line.GetValue(tokenizer) is "bytes" or "none" ? line.GetValue(tokenizer)! : Path.GetFullPath(line.GetValue(tokenizer)!),
        line.GetValue(validation) is { } held ? Path.GetFullPath(held) : null,
        choices.Read(line, new()
        {
            Batch = line.GetValue(batch),
            MaxLength = line.GetValue(maxLength),
            Template = line.GetValue(template),
            Shuffle = !line.GetValue(noShuffle),
            Seed = (ulong)line.GetValue(seed),
        }),
        new()
        {
            Steps = line.GetValue(steps),
            Epochs = line.GetValue(epochs),
            Accumulate = line.GetValue(accumulate),
            Average = line.GetValue(average),
            LearningRate = Value(line, lr, recipe?.LearningRate ?? defaults.LearningRate),
            Schedule = Value(line, schedule, recipe?.LearningRate is null ? defaults.Schedule : ScheduleKind.Constant), // a rate that is built in stays as it is
            Warmup = Value(line, warmup, recipe?.LearningRate is null ? defaults.Warmup : 0),
            Selection = line.GetValue(selection)!,
            Budget = line.GetValue(rank) is { } r ? Budget.RankMatched(r) : Budget.Density(line.GetValue(density) ?? defaults.Budget.Fraction!.Value),
            FilterRank = line.GetValue(filterRank),
            Interval = line.GetValue(interval),
            Recompute = line.GetValue(recompute),
            Seed = line.GetValue(seed),
            LossScale = line.GetValue(lossScale)!,
            SaveEvery = line.GetValue(saveEvery),
            ValidateEvery = line.GetValue(validateEvery),
            Optimizer = OptimizerOf(line, recipe),
        })
    {
        Encoder = line.GetValue(encoder) is { } file ? Path.GetFullPath(file) : null,
    };

    private static Option<T> Number<T>(string name, string description, T value) => new(name) { Description = description, DefaultValueFactory = _ => value };

    /// <summary>What <c>--json</c> prints.</summary>
    private sealed record Outcome(string Run, int Step, int Steps, float FirstLoss, float Loss, double? ValidationLoss, IReadOnlyDictionary<string, double>? Metrics, long Tokens, long Entries, string Checkpoint, string Optimizer)
    {
        /// <summary>The metrics on the validation rows for people: "; validation accuracy 0.93, f1 0.91".</summary>
        internal string Words => ValidationLoss is not { } loss ? ""
            : FormattableString.Invariant($"; validation loss {loss:F4}") + string.Concat((Metrics ?? new Dictionary<string, double>()).Select(m => FormattableString.Invariant($", {m.Key} {m.Value:F4}")));

        public static Outcome Of(TrainingRun training)
        {
            IReadOnlyList<RunEvent> log = RunLog.Read(training.Folder.LogPath);
            StepDone[] steps = [.. log.OfType<StepDone>()];
            Validated? held = log.OfType<Validated>().LastOrDefault();
            return new(training.Folder.FullPath, training.Trainer.Step, training.Trainer.Steps, steps[0].Loss, steps[^1].Loss, held?.ValidationLoss, held?.Metrics,
                training.Trainer.Tokens, training.Trainer.Masks.Sum(m => m.Length), training.Folder.CheckpointPath, Describe(training));
        }

        /// <summary>"AdamW (form hf, beta1 0.9, beta2 0.999, epsilon 1E-06, weight decay 0), clip 1, lr 0.0002 constant"</summary>
        public static string Describe(TrainingRun training)
        {
            TrainingOptions o = training.Folder.Settings.Training;
            AdamWOptions w = o.AdamW;
            string rule = w.Form == AdamWForm.Sgd ? FormattableString.Invariant($"gradient descent (weight decay {w.WeightDecay:G6})")
                : FormattableString.Invariant($"AdamW (form {w.Form.ToString().ToLowerInvariant()}, beta1 {w.Beta1:G6}, beta2 {w.Beta2:G6}, epsilon {w.Epsilon:G6}, weight decay {w.WeightDecay:G6}{(w.BiasCorrection ? "" : ", no bias correction")})");
            return FormattableString.Invariant($"{rule}{(w.ClipNorm > 0 ? $", clip {w.ClipNorm:G6}" : "")}, lr {o.LearningRate:G6} {o.Schedule.ToString().ToLowerInvariant()}");
        }
    }
}
