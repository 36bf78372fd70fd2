using Lift.Ort.Data;
using Lift.Ort.Onnx;

namespace Lift.Ort.Generation;

/// <summary>One answered prompt.</summary>
/// <param name="Row">Row of the file, from 1.</param>
/// <param name="Output">What the model wrote (token ids, spelt with spaces, where there is no tokenizer).</param>
/// <param name="Answer">The answer found in it, null for none.</param>
public sealed record Prediction(int Row, string Output, string? Answer, string Gold, bool Right);

/// <summary>Right answers among all.</summary>
/// <param name="Rules">The rules that were used.</param>
public sealed record ExactMatchScore(int Correct, int Examples, long NewTokens, IReadOnlyList<string> Rules, IReadOnlyList<Prediction> Predictions)
{
    public double Score => (double)Correct / Examples;
}

/// <summary>Lets a model answer the prompts of a data file and counts the answers that are right.</summary>
public sealed class ExactMatch(ExportedModel model, ITokenizer? tokenizer, DataOptions data, GenerationOptions generation)
{
    /// <param name="path">Rows with a prompt and an answer; without tokenizer ready tokens, whose labels are the wanted continuation.</param>
    /// <param name="rule">One of <see cref="AnswerRule.Names"/>.</param>
    /// <exception cref="LiftException">The file is empty, or a row lacks prompt or answer.</exception>
    public ExactMatchScore Score(string path, string rule = "auto", CancellationToken stop = default)
    {
        if (model.ReadsSource) return Score(path, new SourceReader(model, tokenizer, data), rule, stop);
        string ids = new ModelInputs(model.Inputs).Tokens?.Name ?? throw new LiftException($"'{model.Path}' reads no tokens (inputs: {string.Join(", ", model.Inputs.Select(i => i.Name))}); use --metric loss.");
        List<Question> questions = [.. RecordFile.Read(path).Take(data.Limit).Select(row => Ask(row, ids, rule))];
        return Score(path, questions, (generator, group) => generator.Generate([.. group.Select(q => q.Prompt)], null, stop));
    }

    /// <summary>An encoder-decoder writes about each row's source.</summary>
    private ExactMatchScore Score(string path, SourceReader reader, string rule, CancellationToken stop)
    {
        List<Question> questions = [.. RecordFile.Read(path).Take(data.Limit).Select(row =>
        {
            Example source = reader.Read(row);
            return reader.Target(row) is { } gold ? new Question(row.Row, source.Ids, gold, [], rule == "auto" ? AnswerRule.For(gold) : rule) { Source = source }
                : new(row.Row, source.Ids, string.Join(" ", source.Labels), source.Labels, "tokens") { Source = source };
        })];
        return Score(path, questions, (generator, group) => generator.Generate([.. group.Select(q => q.Source!)], reader.Begin, null, stop));
    }

    private ExactMatchScore Score(string path, List<Question> questions, Func<TextGenerator, Question[], int[][]> answer)
    {
        if (questions.Count == 0) throw new LiftException($"{path}: the data set is empty; a JSON array or one JSON object per line is expected.");
        var options = generation with { EndIds = [.. generation.EndIds, .. tokenizer?.EndId is { } end ? [end] : Array.Empty<int>()] };
        var predictions = new List<Prediction>();
        long written = 0;
        foreach (var group in questions.OrderBy(q => q.Prompt.Length).Chunk(data.Batch))
        {
            var bound = tokenizer is null ? options with { MaxNewTokens = Math.Min(options.MaxNewTokens, group.Max(q => q.GoldIds.Length)) } : options;
            int[][] outputs = answer(new TextGenerator(model, bound, tokenizer?.PadId ?? 0), group);
            predictions.AddRange(group.Zip(outputs, Judge));
            written += outputs.Sum(o => o.Length);
        }
        predictions.Sort((a, b) => a.Row.CompareTo(b.Row));
        return new(predictions.Count(p => p.Right), predictions.Count, written, [.. questions.Select(q => q.Rule).Distinct().Order()], predictions);
    }

    private sealed record Question(int Row, int[] Prompt, string Gold, int[] GoldIds, string Rule)
    {
        /// <summary>What an encoder-decoder reads.</summary>
        public Example? Source { get; init; }
    }

    private Question Ask(DataRow row, string ids, string rule)
    {
        if (row.Has(ids)) return AskTokens(row, ids);
        if (tokenizer is null) throw row.Error($"there is no field '{ids}' (fields: {row.Fields}); give ready tokens, or choose a tokenizer with --tokenizer.");

        var prompt = Prompt.From(row, tokenizer, data.Template, evaluation: true);
        if (prompt is null || prompt.Text.Length == 0) throw row.Error($"there is no prompt to answer (fields: {row.Fields}); use prompt and completion, instruction and output, or messages.");
        string gold = prompt.Answer ?? throw row.Error($"there is no answer to compare with (fields: {row.Fields}); add answer or output.");
        int[] text = tokenizer.EncodeFromStart(prompt.Text, prompt.Special);
        int room = Math.Max(1, Math.Min(data.MaxLength, generation.MaxLength) - 1); // the end of a long prompt holds the question's last words
        return new(row.Row, text.Length > room ? text[^room..] : text, gold, [], rule == "auto" ? AnswerRule.For(gold) : rule);
    }

    private static Question AskTokens(DataRow row, string field)
    {
        int[] ids = row.Ints(field), labels = row.Has(Batch.LabelsName) ? row.Ints(Batch.LabelsName) : [];
        int start = labels.AsSpan().IndexOfAnyExcept(Example.Ignored);
        if (labels.Length != ids.Length || start < 1) throw row.Error("exact match on ready tokens needs labels of the same length, -100 for the prompt and the ids of the answer after it.");
        int end = labels.AsSpan().LastIndexOfAnyExcept(Example.Ignored) + 1;
        return new(row.Row, ids[..start], string.Join(" ", ids[start..end]), ids[start..end], "tokens");
    }

    private Prediction Judge(Question question, int[] output)
    {
        if (question.Rule == "tokens")
        {
            int[] wanted = [.. question.GoldIds.TakeWhile(id => id != tokenizer?.EndId && !generation.EndIds.Contains(id))];
            int[] got = tokenizer is null && generation.EndIds.Count == 0 ? output[..Math.Min(output.Length, wanted.Length)] : output;
            return new(question.Row, string.Join(" ", output), string.Join(" ", got), question.Gold, got.AsSpan().SequenceEqual(wanted));
        }
        string text = tokenizer!.Decode(output);
        string? answer = AnswerRule.Extract(question.Rule, text, data.Template);
        return new(question.Row, text, answer, question.Gold, AnswerRule.IsRight(question.Rule, answer, question.Gold));
    }
}
