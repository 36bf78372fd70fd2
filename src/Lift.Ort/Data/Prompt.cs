namespace Lift.Ort.Data;

/// <summary>A row as a question and its answer.</summary>
/// <param name="Text">What the model reads; "" for plain text without a prompt.</param>
/// <param name="Target">What it shall write; null where the row has none.</param>
/// <param name="Answer">The short gold answer that exact match compares with; null where the row has none.</param>
/// <param name="Special">True when special tokens are spelt out in the texts (a chat template, <c>&lt;s&gt;</c>).</param>
/// <param name="EndsItself">True when the target carries its own end-of-turn token.</param>
internal sealed record Prompt(string Text, string? Target, string? Answer, bool Special = false, bool EndsItself = false)
{
    private const string Sentence = "Below is an instruction that describes a task. Write a response that appropriately completes the request.";
    private const string SentenceWithInput = "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.";

    private static readonly string[] instructions = ["instruction", "prompt", "question", "Problem", "problem"];
    private static readonly string[] targets = ["output", "chosen", "answer", "Rationale", "rationale", "solution"];

    /// <param name="evaluation">True for a prompt that the model shall answer, false for one to train on; they differ in <see cref="PromptTemplate.Paper"/>.</param>
    /// <returns>Null when the row has none of the text fields.</returns>
    /// <exception cref="LiftException">A field has the wrong type, or every instruction field is empty.</exception>
    public static Prompt? From(DataRow row, ITokenizer tokenizer, PromptTemplate template, bool evaluation = false)
    {
        if (row.Has("messages")) return ChatPrompt.From(row, tokenizer);
        if (row.Has("prompt") && row.Has("completion")) return new(row.Text("prompt"), Filled(row.Text("completion")), row.FirstText("answer") ?? row.Text("completion"));
        if (row.Has("text")) return new("", Filled(row.Text("text")), row.FirstText("answer"));
        return instructions.Append("input").Any(row.Has) ? FromInstruction(row, tokenizer, template, evaluation) : null;
    }

    private static Prompt FromInstruction(DataRow row, ITokenizer tokenizer, PromptTemplate template, bool evaluation)
    {
        string? input = row.FirstText("input"), instruction = row.FirstText(instructions);
        if ((input ?? instruction) is not { } only)
            throw row.Error($"the fields {string.Join(", ", instructions.Append("input").Where(row.Has))} are empty; give the instruction.");

        string? target = TargetOf(row), answer = GoldOf(row) ?? target;
        string? spaced = target is null ? null : target + " "; // one space before the end-of-sequence token
        if (template == PromptTemplate.Paper) return new(Paper(only, evaluation), spaced, answer, Special: true);

        bool both = input is not null && instruction is not null;
        string question = both ? $"{instruction}\n\n{input}" : only;
        return ChatPrompt.Answered([new("user", question)], target, answer, tokenizer)
            ?? new(both ? $"{SentenceWithInput}\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n" : $"{Sentence}\n\n### Instruction:\n{only}\n\n### Response:\n", spaced, answer);
    }

    /// <summary>The published runs' prompt: two spaces and a line of 16 spaces in training, one space and an empty line in evaluation.</summary>
    private static string Paper(string instruction, bool evaluation) => evaluation
        ? $"<s> {Sentence} \n\n### Instruction:\n{instruction}\n\n### Response:\n"
        : $"<s> {Sentence}  \n\n### Instruction:\n{instruction}\n{new string(' ', 16)}\n### Response:\n";

    private static string? TargetOf(DataRow row)
    {
        foreach (string field in targets)
        {
            if (row.FirstText(field) is not { } text) continue;
            return Filled((field == "answer" ? text.Split("####")[0].TrimEnd() : text).Replace("</s>", ""));
        }
        return null;
    }

    /// <summary>The short answer: what follows <c>####</c> in <c>answer</c>, else <c>answer</c> itself.</summary>
    private static string? GoldOf(DataRow row) => row.FirstText("answer") is { } text ? text.Split("####")[^1].Trim() : null;

    private static string? Filled(string text) => string.IsNullOrWhiteSpace(text) ? null : text;
}
