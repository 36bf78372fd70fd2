using System.CommandLine;
using System.CommandLine.Parsing;
using Lift.Ort.Onnx;

namespace Lift.Ort.Cli;

/// <summary>Arguments and options that several commands share.</summary>
internal static class Choices
{
    /// <summary><c>-o</c>, <c>--output</c>-like: where the result goes. Required.</summary>
    public static Option<string> Out(string description) => new("-o", "--out") { Description = description, Required = true, HelpName = "PATH" };

    public static Option<int> Seed(int value = 1) => new("--seed") { Description = "Seed of every random choice; the same seed gives the same result.", DefaultValueFactory = _ => value, HelpName = "N" };

    public static Option<string> Device() => new("--device") { Description = "Where to compute: cpu, cuda or cuda:N.", DefaultValueFactory = _ => "cpu", HelpName = "NAME" };

    /// <summary><c>--cuda-graphs</c></summary>
    public static Option<bool> Graphs() => new("--cuda-graphs") { Description = "Record a GPU's work once per shape of batch and replay it, where the model allows that; never tried on a GPU yet." };

    /// <summary><c>--dim NAME=SIZE</c>, once or several times: sizes of open dimensions.</summary>
    public static Option<Dictionary<string, long>> Dims() => new("--dim")
    {
        Description = "Size that a dimension the file leaves open has in training, by its name or as INPUT.AXIS: settles branches and repetitions that depend on it. The exported model keeps it open.",
        HelpName = "NAME=SIZE",
        AllowMultipleArgumentsPerToken = true,
        Arity = ArgumentArity.ZeroOrMore,
        DefaultValueFactory = _ => [],
        CustomParser = result =>
        {
            var dims = new Dictionary<string, long>();
            foreach (string word in result.Tokens.Select(t => t.Value))
            {
                int at = word.LastIndexOf('=');
                if (at > 0 && long.TryParse(word[(at + 1)..], out long size)) dims[word[..at]] = size;
                else result.AddError($"--dim '{word}' is no name with a size; give NAME=SIZE, for instance sequence_length=128.");
            }
            return dims;
        },
    };

    /// <summary><c>--encoder</c>: the other file of an encoder-decoder in two.</summary>
    public static Option<string?> Encoder() => new("--encoder") { Description = "The encoder's .onnx file, for a decoder that reads encoder_hidden_states; default: the one beside the decoder (encoder_model.onnx).", HelpName = "FILE" };

    /// <summary><c>--dtype</c> takes float32/fp32, bfloat16/bf16, float16/fp16.</summary>
    public static Option<ElementType> DType() => new("--dtype")
    {
        Description = "Type of the weights: float32 (fp32), bfloat16 (bf16) or float16 (fp16).",
        DefaultValueFactory = _ => ElementType.Float,
        HelpName = "TYPE",
        CustomParser = ParseDType,
    };

    /// <summary>How the program spells an element type.</summary>
    public static string Spell(ElementType type) => type switch
    {
        ElementType.Float => "float32",
        ElementType.Double => "float64",
        _ => type.ToString().ToLowerInvariant(),
    };

    /// <summary>An option of one word out of <paramref name="words"/>.</summary>
    public static Option<string> OneOf(string name, string description, string? value, params string[] words)
    {
        var option = new Option<string>(name) { Description = description, HelpName = string.Join('|', words) };
        if (value is not null) option.DefaultValueFactory = _ => value;
        Only(option, words);
        return option;
    }

    /// <summary>Lets an option take these words only.</summary>
    public static void Only(Option option, params string[] words)
    {
        option.CompletionSources.Add(words);
        option.Validators.Add(result =>
        {
            foreach (Token token in result.Tokens.Where(t => !words.Contains(t.Value))) result.AddError($"{option.Name} is '{token.Value}'; give one of: {string.Join(", ", words)}.");
        });
    }

    /// <summary>An option of one of an enumeration's words, in lower case; numbers are none of them.</summary>
    public static Option<T> Word<T>(string name, string description, T value) where T : struct, Enum =>
        new(name) { Description = description, HelpName = Words<T>("|"), DefaultValueFactory = _ => value, CustomParser = ParseWord<T> };

    /// <summary>The same, null where it is not given.</summary>
    public static Option<T?> WordOrNone<T>(string name, string description) where T : struct, Enum =>
        new(name) { Description = description, HelpName = Words<T>("|"), CustomParser = r => ParseWord<T>(r) };

    /// <summary>An option that counts something: 1 or more.</summary>
    public static Option<int> Count(string name, string description, int? value = null)
    {
        var option = new Option<int>(name) { Description = description, HelpName = "N" };
        if (value is { } v) option.DefaultValueFactory = _ => v;
        option.Validators.Add(AtLeastOne);
        return option;
    }

    /// <summary>An option that takes name patterns with <c>*</c> and <c>?</c>, once or several times.</summary>
    public static Option<string[]> Patterns(string name, string description) => new(name) { Description = description, HelpName = "GLOB", AllowMultipleArgumentsPerToken = true };

    private static string Words<T>(string between) where T : struct, Enum => string.Join(between, Enum.GetNames<T>()).ToLowerInvariant();

    private static T ParseWord<T>(ArgumentResult result) where T : struct, Enum
    {
        string word = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
        if (Enum.GetNames<T>().FirstOrDefault(n => n.Equals(word, StringComparison.OrdinalIgnoreCase)) is { } known) return Enum.Parse<T>(known);
        result.AddError($"{(result.Parent as OptionResult)?.Option.Name} is '{word}'; give one of: {Words<T>(", ")}.");
        return default;
    }

    private static void AtLeastOne(OptionResult result)
    {
        string word = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
        if (int.TryParse(word, out int n) && n < 1) result.AddError($"{result.Option.Name} is {n}; give 1 or more.");
    }

    private static ElementType ParseDType(ArgumentResult result)
    {
        string word = result.Tokens.Count == 1 ? result.Tokens[0].Value.ToLowerInvariant() : "";
        ElementType type = word switch
        {
            "float32" or "fp32" => ElementType.Float,
            "bfloat16" or "bf16" => ElementType.BFloat16,
            "float16" or "fp16" => ElementType.Float16,
            _ => ElementType.Undefined,
        };
        if (type == ElementType.Undefined) result.AddError($"--dtype does not know '{word}'; give float32, bfloat16 or float16.");
        return type;
    }
}
