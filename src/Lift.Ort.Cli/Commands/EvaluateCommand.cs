using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Generation;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Training;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift evaluate</c>: how good an exported model is on a data file.</summary>
internal sealed class EvaluateCommand : LiftCommand
{
    private readonly Argument<string> model = new("MODEL") { Description = "The exported model, an .onnx file." };
    private readonly Option<string> data = new("--data") { Description = $"{DataChoices.Forms}: text; prompt and completion; instruction and output; messages; text and label; input_ids and labels; or the model's own inputs and labels.", Required = true, HelpName = "FILE" };
    private readonly Option<string> tokenizer = new("--tokenizer") { Description = "Folder with tokenizer.json, SentencePiece .model file, bytes, or none for ready tokens.", DefaultValueFactory = _ => "none", HelpName = "TOKENIZER" };
    private readonly Option<string> metric = Choices.OneOf("--metric", "loss: mean over the labels; exact-match: share of prompts that the model answers right.", "loss", "loss", "exact-match");
    private readonly LossChoices loss = new(null, "Which loss; default: that of --run, else causal-lm for outputs [batch, sequence, vocabulary], else cross-entropy.");
    private readonly DataChoices choices = new();
    private readonly Option<string?> run = new("--run") { Description = "Run folder whose loss, class names and scales of features are taken.", HelpName = "RUN" };
    private readonly Option<int> batch = Choices.Count("--batch", "Rows at a time.", 8);
    private readonly Option<int> limit = Choices.Count("--limit", "Rows of the file to use, from its start; default all.");
    private readonly Option<int> maxLength = Choices.Count("--max-length", "Tokens at which a row is cut.", 512);
    private readonly Option<int> maxNewTokens = Choices.Count("--max-new-tokens", "exact-match: tokens that the model may write per prompt.", 256);
    private readonly Option<int> beams = Choices.Count("--beams", "exact-match: continuations followed side by side; default 1, with --template paper 4.");
    private readonly Option<string> template = Choices.OneOf("--template", "How instructions become prompts: clean, or paper as the published LIFT runs did.", "clean", "clean", "paper");
    private readonly Option<string> rule = Choices.OneOf("--answer-rule", "exact-match: what counts as the answer; auto goes by the gold answer.", "auto", [.. AnswerRule.Names]);
    private readonly Option<string> predictions = new("--predictions") { Description = "exact-match: write every output as a line of JSON to this file.", HelpName = "FILE" };
    private readonly Option<bool> noCache = new("--no-cache") { Description = "exact-match: read the whole text for each token, also where the model has a key/value cache." };
    private readonly Option<string?> encoder = Choices.Encoder();
    private readonly Option<string> device = Choices.Device();

    public EvaluateCommand() : base("evaluate", "Scores an exported model on a data file; one line of JSON.",
        "lift evaluate model.onnx --data test.jsonl --tokenizer tokenizer/ --metric exact-match --limit 200")
    {
        Add(model);
        foreach (Option option in (Option[])[data, tokenizer, metric, .. loss.All, run, .. choices.All, batch, limit, maxLength, maxNewTokens, beams, template, rule, predictions, noCache, encoder, device]) Add(option);
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        using IDevice place = Device.Open(line.GetValue(device)!);
        using ITokenizer? words = Tokenizer.Open(line.GetValue(tokenizer)!);
        var clock = Stopwatch.StartNew();
        string path = Directory.Exists(line.GetValue(model)!) ? Path.Combine(line.GetValue(model)!, "model.onnx") : line.GetValue(model)!;
        var common = new Dictionary<string, object> { ["metric"] = line.GetValue(metric)! };
        foreach (var (name, value) in Measure(line, path, place, words, stop)) common[name] = value;
        common["template"] = line.GetValue(template)!;
        common["seconds"] = Math.Round(clock.Elapsed.TotalSeconds, 3);
        common["model"] = path;
        common["data"] = line.GetValue(data)!;
        output.Json(common);
    }

    private IEnumerable<KeyValuePair<string, object>> Measure(ParseResult line, string path, IDevice place, ITokenizer? words, CancellationToken stop)
    {
        RunSettings? trained = line.GetValue(run) is { } folder ? RunFolder.Open(folder).Settings : null;
        TrainingGraphOptions asked = Asked(line, trained);
        bool simple = asked.Terms.Count == 0 && asked.Loss is "" or "causal-lm" or "cross-entropy" or "mse" or "bce" && asked.LossOptions.IsDefault;
        using ExportedModel? exported = simple || line.GetValue(metric) != "loss" ? ExportedModel.Open(path, place, asked.Output, line.GetValue(encoder)) : null;
        bool writes = exported?.ReadsSource == true;
        bool pixels = exported?.OutputType.Rank >= 4 && asked.Loss is "" or "cross-entropy";
        if (line.GetValue(metric) == "loss" && (exported is null || pixels || writes || exported.IsInTrainingForm)) // the last: judged with running statistics, as PyTorch's eval()
        {
            if (!File.Exists(path)) throw new LiftException($"There is no model '{path}'; give an .onnx file.");
            if (asked.Loss.Length == 0) asked = asked with { Loss = writes ? "seq2seq" : exported?.OutputType.Rank == 3 ? "causal-lm" : "cross-entropy" };
            using TaskEvaluation task = TaskEvaluation.Open(path, asked, place);
            using SourceEncoder? frozen = SourceEncoder.For(line.GetValue(encoder) ?? trained?.Encoder, path, line.GetValue(data)!, task.Inputs, place);
            foreach (var pair in Task(line, task, frozen, string.Join(" + ", task.Terms.Select(t => t.Loss)), words, trained)) yield return pair;
            yield break;
        }
        foreach (var pair in line.GetValue(metric) == "loss" ? Loss(line, exported!, asked.Loss, words, trained) : Answers(line, exported!, words, trained, stop)) yield return pair;
    }

    /// <summary>Loss and output as the options say, else as the run's folder was prepared.</summary>
    private TrainingGraphOptions Asked(ParseResult line, RunSettings? trained)
    {
        IReadOnlyList<LossTerm> terms = loss.Terms(line);
        ArtifactRecord? record = trained is null || terms.Count > 0 || loss.Loss(line) is not null ? null : ArtifactFolder.Open(trained.Artifacts).Record;
        return new()
        {
            Loss = loss.Loss(line) ?? record?.Loss ?? "",
            Terms = record?.Terms is { } several && loss.Output(line) is null ? [.. several.Select(t => t.Asked)] : terms,
            LossOptions = record?.LossOptions ?? loss.Options(line),
            Output = loss.Output(line) ?? record?.Scored,
        };
    }

    private IEnumerable<KeyValuePair<string, object>> Task(ParseResult line, TaskEvaluation task, SourceEncoder? frozen, string kind, ITokenizer? words, RunSettings? trained)
    {
        IReadOnlyList<GraphValue> inputs = frozen?.Inputs ?? task.Inputs;
        DataOptions rows = Fitted(line, task.Fit(Rows(line, trained)), inputs);
        if (task.Terms.Any(t => t.Form.Kind == LabelKind.None)) rows = rows with { Shuffle = false }; // the rows of a batch are compared with each other
        BatchReader reader = BatchReader.Open(line.GetValue(data)!, words, inputs, rows);
        TaskScore score = task.Score(frozen is null ? reader.Epoch() : reader.Epoch().Select(frozen.Encode), rows);
        yield return new("loss", score.Loss);
        foreach (var (name, value) in score.Metrics) yield return new(name, value);
        foreach (var pair in Counts(kind, score.Examples, score.Tokens, score.LabelTokens, reader)) yield return pair;
    }

    private IEnumerable<KeyValuePair<string, object>> Loss(ParseResult line, ExportedModel exported, string kind, ITokenizer? words, RunSettings? trained)
    {
        var measure = new LossMetric(exported, kind.Length > 0 ? kind : null);
        DataOptions rows = Fitted(line, measure.Fit(Rows(line, trained)), measure.Inputs);
        var reader = BatchReader.Open(line.GetValue(data)!, words, measure.Inputs, rows);
        LossScore score = measure.Score(reader.Epoch(), rows.ClassNames);
        yield return new("loss", score.Loss);
        yield return new("example_loss", score.ExampleLoss);
        if (score.Accuracy is { } share) yield return new("accuracy", share);
        foreach (var (name, value) in score.Metrics.Where(m => m.Key != "accuracy" || score.Accuracy is null)) yield return new(name, value);
        foreach (var pair in Counts(measure.Loss, score.Examples, score.Tokens, score.LabelTokens, reader)) yield return pair;
    }

    private static IEnumerable<KeyValuePair<string, object>> Counts(string kind, int examples, long tokens, long labels, BatchReader reader) =>
    [
        new("kind", kind), new("examples", examples), new("tokens", tokens), new("label_tokens", labels), new("truncated", reader.Truncated), new("skipped", reader.Skipped),
    ];

    /// <summary>Class names and the like: those of the run or the options, else what the rows and the files beside the model tell.</summary>
    /// <exception cref="LiftException">The numbers behind names can only be guessed from these rows, and the guess may not be what the model was trained with.</exception>
    private DataOptions Fitted(ParseResult line, DataOptions rows, IReadOnlyList<GraphValue> inputs)
    {
        DataOptions asked = choices.Read(line, rows), fitted = DataFit.Of(line.GetValue(data)!, inputs, asked, ModelNotes.Beside(line.GetValue(model)));
        if (line.GetValue(run) is not null) return fitted;
        if (asked.ClassNames is null && fitted.ClassNames is { } names && rows.Classes is { } classes && names.Count != classes)
            throw new LiftException($"The rows name {names.Count} of the model's {classes} classes ({string.Join(", ", names.Take(10))}), so their numbers are not known; give the run (--run), or all names in order (--class-names).");
        if (fitted.Several.FirstOrDefault(c => c is { ClassNames: not null, Classes: not null } && c.ClassNames.Count != c.Classes) is { } open)
            throw new LiftException($"The rows name {open.ClassNames!.Count} of the {open.Classes} classes of '{open.Output}' ({string.Join(", ", open.ClassNames.Take(10))}), so their numbers are not known; give the run (--run).");
        if (fitted.Table.Categories is { Count: > 0 } words)
            throw new LiftException($"Column '{words.Keys.First()}' holds words whose numbers only the run knows; give it with --run.");
        return fitted;
    }

    private IEnumerable<KeyValuePair<string, object>> Answers(ParseResult line, ExportedModel exported, ITokenizer? words, RunSettings? trained, CancellationToken stop)
    {
        int width = line.GetValue(beams) is > 0 and var n ? n : line.GetValue(template) == "paper" ? 4 : 1;
        var generation = new GenerationOptions { MaxNewTokens = line.GetValue(maxNewTokens), MaxLength = line.GetValue(maxLength), Beams = width, Cache = !line.GetValue(noCache) };
        DataOptions rows = exported.ReadsSource ? Fitted(line, Rows(line, trained) with { Kind = LabelKind.Sequence, Shifted = false, VocabularySize = null, Classes = exported.Classes }, exported.RowInputs) : Rows(line);
        string? written = line.GetValue(predictions) is { } named ? OutputPath.Apart(named, line.GetValue(model), line.GetValue(data), line.GetValue(run)) : null;
        if (written is not null) using (File.Open(written, FileMode.OpenOrCreate, FileAccess.Write)) { } // before the work, whose result would be lost
        ExactMatchScore score = new ExactMatch(exported, words, rows, generation).Score(line.GetValue(data)!, line.GetValue(rule)!, stop);
        if (written is not null) File.WriteAllLines(written, score.Predictions.Select(p => JsonSerializer.Serialize(p, Output.Format)));
        yield return new("exact_match", score.Score);
        yield return new("correct", score.Correct);
        yield return new("examples", score.Examples);
        yield return new("new_tokens", score.NewTokens);
        yield return new("answer_rule", string.Join("+", score.Rules));
        yield return new("decoding", width == 1 ? "greedy" : $"{width} beams");
    }

    /// <summary>Rows grouped by length: the order of scoring changes nothing but the time.</summary>
    private DataOptions Rows(ParseResult line, RunSettings? trained = null) => (trained?.Rows ?? new()) with
    {
        Shuffle = true,
        Batch = line.GetValue(batch),
        Limit = line.GetValue(limit) is > 0 and var n ? n : int.MaxValue,
        MaxLength = line.GetValue(maxLength),
        Template = line.GetValue(template) == "paper" ? PromptTemplate.Paper : PromptTemplate.Clean,
    };
}
