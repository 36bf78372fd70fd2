using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Generation;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift evaluate</c>: how good an exported model is on a data file.</summary>
internal sealed class EvaluateCommand : LiftCommand
{
    private readonly Argument<string> model = new("MODEL") { Description = "The exported model, an .onnx file." };
    private readonly Option<string> data = new("--data") { Description = "JSON array or JSONL: text; prompt and completion; instruction and output; messages; input_ids and labels; or the model's own inputs and labels.", Required = true, HelpName = "FILE" };
    private readonly Option<string> tokenizer = new("--tokenizer") { Description = "Folder with tokenizer.json, SentencePiece .model file, bytes, or none for ready tokens.", DefaultValueFactory = _ => "none", HelpName = "TOKENIZER" };
    private readonly Option<string> metric = Choices.OneOf("--metric", "loss: mean over the labels; exact-match: share of prompts that the model answers right.", "loss", "loss", "exact-match");
    private readonly Option<string> loss = Choices.OneOf("--loss", "Which loss; default causal-lm for outputs [batch, sequence, vocabulary], else cross-entropy.", null, "causal-lm", "cross-entropy", "mse", "bce");
    private readonly Option<string> scored = new("--output") { Description = "The model output that is scored; default logits, else the first float output.", HelpName = "NAME" };
    private readonly Option<int> batch = Choices.Count("--batch", "Rows at a time.", 8);
    private readonly Option<int> limit = Choices.Count("--limit", "Rows of the file to use, from its start; default all.");
    private readonly Option<int> maxLength = Choices.Count("--max-length", "Tokens at which a row is cut.", 512);
    private readonly Option<int> maxNewTokens = Choices.Count("--max-new-tokens", "exact-match: tokens that the model may write per prompt.", 256);
    private readonly Option<int> beams = Choices.Count("--beams", "exact-match: continuations followed side by side; default 1, with --template paper 4.");
    private readonly Option<string> template = Choices.OneOf("--template", "How instructions become prompts: clean, or paper as the published LIFT runs did.", "clean", "clean", "paper");
    private readonly Option<string> rule = Choices.OneOf("--answer-rule", "exact-match: what counts as the answer; auto goes by the gold answer.", "auto", [.. AnswerRule.Names]);
    private readonly Option<string> predictions = new("--predictions") { Description = "exact-match: write every output as a line of JSON to this file.", HelpName = "FILE" };
    private readonly Option<bool> noCache = new("--no-cache") { Description = "exact-match: read the whole text for each token, also where the model has a key/value cache." };
    private readonly Option<string> device = Choices.Device();

    public EvaluateCommand() : base("evaluate", "Scores an exported model on a data file; one line of JSON.",
        "lift evaluate model.onnx --data test.jsonl --tokenizer tokenizer/ --metric exact-match --limit 200")
    {
        Add(model);
        foreach (Option option in new Option[] { data, tokenizer, metric, loss, scored, batch, limit, maxLength, maxNewTokens, beams, template, rule, predictions, noCache, device }) Add(option);
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        using IDevice place = Device.Open(line.GetValue(device)!);
        using ITokenizer? words = Tokenizer.Open(line.GetValue(tokenizer)!);
        using ExportedModel exported = ExportedModel.Open(line.GetValue(model)!, place, line.GetValue(scored));
        var clock = Stopwatch.StartNew();
        var common = new Dictionary<string, object> { ["metric"] = line.GetValue(metric)! };
        foreach (var (name, value) in line.GetValue(metric) == "loss" ? Loss(line, exported, words) : Answers(line, exported, words, stop)) common[name] = value;
        common["template"] = line.GetValue(template)!;
        common["seconds"] = Math.Round(clock.Elapsed.TotalSeconds, 3);
        common["model"] = exported.Path;
        common["data"] = line.GetValue(data)!;
        output.Json(common);
    }

    private IEnumerable<KeyValuePair<string, object>> Loss(ParseResult line, ExportedModel exported, ITokenizer? words)
    {
        var measure = new LossMetric(exported, line.GetValue(loss));
        var reader = BatchReader.Open(line.GetValue(data)!, words, measure.Inputs, measure.Fit(Rows(line)));
        LossScore score = measure.Score(reader.Epoch());
        yield return new("loss", score.Loss);
        yield return new("example_loss", score.ExampleLoss);
        if (score.Accuracy is { } share) yield return new("accuracy", share);
        yield return new("kind", measure.Loss);
        yield return new("examples", score.Examples);
        yield return new("tokens", score.Tokens);
        yield return new("label_tokens", score.LabelTokens);
        yield return new("truncated", reader.Truncated);
        yield return new("skipped", reader.Skipped);
    }

    private IEnumerable<KeyValuePair<string, object>> Answers(ParseResult line, ExportedModel exported, ITokenizer? words, CancellationToken stop)
    {
        int width = line.GetValue(beams) is > 0 and var n ? n : line.GetValue(template) == "paper" ? 4 : 1;
        var generation = new GenerationOptions { MaxNewTokens = line.GetValue(maxNewTokens), MaxLength = line.GetValue(maxLength), Beams = width, Cache = !line.GetValue(noCache) };
        ExactMatchScore score = new ExactMatch(exported, words, Rows(line), generation).Score(line.GetValue(data)!, line.GetValue(rule)!, stop);
        if (line.GetValue(predictions) is { } file) File.WriteAllLines(file, score.Predictions.Select(p => JsonSerializer.Serialize(p, Output.Format)));
        yield return new("exact_match", score.Score);
        yield return new("correct", score.Correct);
        yield return new("examples", score.Examples);
        yield return new("new_tokens", score.NewTokens);
        yield return new("answer_rule", string.Join("+", score.Rules));
        yield return new("decoding", width == 1 ? "greedy" : $"{width} beams");
    }

    /// <summary>Rows grouped by length: the order of scoring changes nothing but the time.</summary>
    private DataOptions Rows(ParseResult line) => new()
    {
        Batch = line.GetValue(batch),
        Limit = line.GetValue(limit) is > 0 and var n ? n : int.MaxValue,
        MaxLength = line.GetValue(maxLength),
        Template = line.GetValue(template) == "paper" ? PromptTemplate.Paper : PromptTemplate.Clean,
    };
}
