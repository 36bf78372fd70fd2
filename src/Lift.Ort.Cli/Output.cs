using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Spectre.Console;

namespace Lift.Ort.Cli;

/// <summary>Where a command speaks: results as lines of JSON on standard output, words and tables for people on standard error.</summary>
internal sealed class Output(TextWriter result, TextWriter error, bool json, bool quiet)
{
    /// <summary>snake_case names, numbers that JSON lacks (NaN, infinities) as strings, absent values left out.</summary>
    public static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>True when <c>--json</c> asks for the machine's form of the result.</summary>
    public bool WantsJson { get; } = json;

    /// <summary>Standard error with colours, tables and progress bars; plain text where it is no terminal. Silent with <c>--quiet</c>.</summary>
    public IAnsiConsole Console { get; } = Terminal(quiet ? TextWriter.Null : error);

    /// <summary>Writes one line of JSON, whether or not <c>--json</c> was given: for commands whose result is data (<c>gradients</c>, <c>evaluate</c>, <c>bench</c>).</summary>
    public void Json(object value)
    {
        result.WriteLine(JsonSerializer.Serialize(value, value.GetType(), Format));
        result.Flush();
    }

    /// <summary>Writes the result once: as a line of JSON with <c>--json</c>, otherwise through <paramref name="forPeople"/>.</summary>
    public void Result(object value, Action<IAnsiConsole> forPeople)
    {
        if (WantsJson) Json(value);
        else forPeople(Console);
    }

    /// <summary>Writes a piece of text to standard output at once: for a command whose result is a text that grows (<c>generate</c>).</summary>
    public void Text(string text)
    {
        result.Write(text);
        result.Flush();
    }

    /// <summary>One line about what is going on.</summary>
    public void Note(string text) => Console.WriteLine(text);

    private static IAnsiConsole Terminal(TextWriter writer)
    {
        IAnsiConsole console = AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(writer) });
        if (System.Console.IsErrorRedirected || writer != System.Console.Error)
        {
            console.Profile.Width = 200;
            console.Profile.Capabilities.Ansi = console.Profile.Capabilities.Interactive = false;
        }
        return console;
    }
}
