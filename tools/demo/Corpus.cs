using System.Text.Encodings.Web;
using System.Text.Json;

namespace Lift.Ort.Demo;

/// <summary>A row of data: a text that is learned whole, or a prompt with the completion that is learned.</summary>
internal sealed record Row(string Prompt, string Completion)
{
    private static readonly JsonSerializerOptions json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Row Text(string text) => new("", text);

    public string ToJson() => Prompt == "" ? JsonSerializer.Serialize(new { text = Completion }, json) : JsonSerializer.Serialize(new { prompt = Prompt, completion = Completion }, json);

    public static void Write(string path, IEnumerable<Row> rows) => File.WriteAllLines(path, rows.Select(r => r.ToJson()));
}

/// <summary>
/// The source domain, on which the demo's model was trained from scratch: sums and differences in symbols (12+7=19), in number words (twelve plus
/// seven is nineteen) and in short phrases (12 and 7 make 19), names of numbers, and simple English sentences. The same seed gives the same rows.
/// </summary>
internal sealed class Corpus(int seed)
{
    /// <summary>The largest number that occurs anywhere.</summary>
    public const int Largest = 20;

    internal static readonly string[] Names = ["Tom", "Ann", "Ben", "Eva", "Sam", "Mia", "Leo", "Zoe", "Max", "Ida"];
    internal static readonly string[] Things = ["apples", "pens", "books", "cups", "coins", "eggs", "cars", "hats", "keys", "dogs"];

    private static readonly string[] words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"];
    private static readonly string[] colours = ["red", "blue", "green", "old", "new", "big", "small", "good"];
    private static readonly string[] verbs = ["sees", "buys", "sells", "finds", "likes", "wants", "has", "keeps"];
    private static readonly string[] places = ["at home", "in town", "at school", "in the park", "on the table", "by the sea"];

    private readonly Random random = new(seed);

    /// <summary>Two numbers and their sum or difference; none is negative or above <see cref="Largest"/>.</summary>
    public (int A, char Operator, int B, int Result) Calculation()
    {
        int sum = random.Next(Largest + 1), a = random.Next(sum + 1);
        return random.Next(2) == 0 ? (a, '+', sum - a, sum) : (sum, '-', a, sum - a);
    }

    public static string Word(int number) => words[number];

    public IEnumerable<Row> Rows(int count) => Enumerable.Range(0, count).Select(_ => Next());


    private Row Next()
    {
        var (a, op, b, result) = Calculation();
        return random.Next(10) switch
        {
            < 3 => new Row($"{a}{op}{b}=", $"{result}"),
            3 => new Row($"{a} {op} {b} = ", $"{result}"),
            4 or 5 => new Row(Phrase(a, op == '+', b), $"{result}"),
            6 => new Row($"{words[a]} {(op == '+' ? "plus" : "minus")} {words[b]} is ", words[result]),
            7 => random.Next(2) == 0 ? new Row($"{a} is ", words[a]) : new Row($"{words[a]} is ", $"{a}"),
            _ => Row.Text(Sentence(a)),
        };
    }

    /// <summary>A calculation in words that name it, with things between the numbers or without.</summary>
    private string Phrase(int a, bool plus, int b)
    {
        string of = random.Next(3) == 0 ? "" : $" {Pick(Things)}", first = random.Next(3) == 0 ? $" {Pick(colours)}{of}" : of;
        return plus
            ? Pick([$"{a}{first} and {b}{of} make ", $"The sum of {a}{first} and {b}{of} is ", $"{a}{first} plus {b}{of} is "])
            : Pick([$"{a}{first} less {b}{of} leaves ", $"Take {b}{of} from {a}{first}: ", $"{a}{first} minus {b}{of} is "]);
    }

    private string Sentence(int number) => random.Next(5) switch
    {
        0 => $"{Pick(Names)} {Pick(verbs)} {number} {Pick(Things)}.",
        1 => $"{Pick(Names)} {Pick(verbs)} {number} {Pick(colours)} {Pick(Things)} {Pick(places)}.",
        2 => $"The {Pick(Things)} of {Pick(Names)} are {Pick(colours)} and {Pick(colours)}.",
        3 => $"{Pick(Names)} and {Pick(Names)} are {Pick(places)}.",
        _ => $"There are {number} {Pick(Things)} {Pick(places)}.",
    };

    internal string Pick(string[] words) => words[random.Next(words.Length)];
}
