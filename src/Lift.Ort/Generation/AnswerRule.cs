using System.Globalization;
using System.Text.RegularExpressions;
using Lift.Ort.Data;

namespace Lift.Ort.Generation;

/// <summary>Finds the answer in what a model wrote and compares it with the gold answer.</summary>
public static partial class AnswerRule
{
    private const double Tolerance = 0.001;

    /// <summary>The rules by name; "auto" takes the one that the gold answer itself suggests.</summary>
    public static readonly IReadOnlyList<string> Names = ["auto", "numbers", "letter", "commonsense", "text"];

    /// <summary>The rule for a gold answer: a number, a letter A to E, a word of the commonsense sets, or any text.</summary>
    public static string For(string gold) => gold.Trim() switch
    {
        var g when Number(g) is not null => "numbers",
        [>= 'A' and <= 'E'] => "letter",
        var g when Choice().Match(g.ToLowerInvariant()) is { Success: true } m && m.Length == g.Length => "commonsense",
        _ => "text",
    };

    /// <summary>The answer in <paramref name="output"/>, or null where none is found.</summary>
    /// <param name="template">In <see cref="PromptTemplate.Paper"/> the first letter A to E anywhere counts, as in the published runs; in <see cref="PromptTemplate.Clean"/> the one that the text names as its answer.</param>
    public static string? Extract(string rule, string output, PromptTemplate template) => rule switch
    {
        "numbers" => Numbers().Matches(output.Replace(",", "")).LastOrDefault()?.Value,
        "letter" when template == PromptTemplate.Paper => output.IndexOfAny(['A', 'B', 'C', 'D', 'E']) is >= 0 and var i ? output[i].ToString() : null,
        "letter" => NamedLetter().Matches(output).LastOrDefault()?.Groups[1].Value ?? Letter().Matches(output).LastOrDefault()?.Value,
        "commonsense" => Choice().Match(output.ToLowerInvariant()) is { Success: true } m ? m.Value : null,
        _ => output.Trim(),
    };

    /// <summary>Numbers within 0.001 of each other, anything else letter by letter.</summary>
    public static bool IsRight(string rule, string? answer, string gold)
    {
        if (answer is null) return false;
        if (rule != "numbers") return rule == "commonsense" ? answer == gold.Trim().ToLowerInvariant() : answer == gold.Trim();
        return Number(answer) is { } a && Number(gold) is { } g && Math.Abs(a - g) <= Tolerance;
    }

    private static double? Number(string text) => double.TryParse(text.Replace(",", ""), NumberStyles.Float, CultureInfo.InvariantCulture, out double v) ? v : null;

    [GeneratedRegex(@"-?\d+\.?\d*")]
    private static partial Regex Numbers();

    [GeneratedRegex(@"(?i:answer\s+is)[^A-Za-z0-9]*([A-E])\b")]
    private static partial Regex NamedLetter();

    [GeneratedRegex(@"\b[A-E]\b")]
    private static partial Regex Letter();

    [GeneratedRegex("true|false|solution[12]|answer[1-5]|ending[1-4]|option[12]")]
    private static partial Regex Choice();
}
