using System.CommandLine;
using Lift.Ort.Architectures;
using Lift.Ort.Onnx;
using Spectre.Console;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift new</c>: a model with random weights.</summary>
internal sealed class NewCommand : LiftCommand
{
    private readonly Option<string> architecture = Choices.OneOf("--arch", "Kind of network.", "llama", "llama");
    private readonly Option<string> preset = Choices.OneOf("--preset", "A size that has a name; the options below change single numbers of it.", "stories260k", [.. LlamaShape.Presets.Keys]);
    private readonly Option<int> width = Choices.Count("--width", "Size of the hidden state.");
    private readonly Option<int> layers = Choices.Count("--layers", "Number of layers.");
    private readonly Option<int> heads = Choices.Count("--heads", "Attention heads.");
    private readonly Option<int> kvHeads = Choices.Count("--kv-heads", "Key-value heads.");
    private readonly Option<int> ffn = Choices.Count("--ffn", "Size of the feed-forward part's middle.");
    private readonly Option<int> vocab = Choices.Count("--vocab", "Number of token ids.");
    private readonly Option<bool?> tied = new("--tied") { Description = "Share the embedding with the output head (true or false)." };
    private readonly Option<bool> attentionMask = new("--attention-mask") { Description = "Add the input attention_mask (1 for tokens, 0 for padding)." };
    private readonly Option<string> form = Choices.OneOf("--form", "Operators it is written in: standard ones of opset 17, those of the ONNX Runtime GenAI model builder (with a cache), or those of opset 23.", "standard", "standard", "genai", "opset23");
    private readonly Option<string> bits = Choices.OneOf("--bits", "32 keeps the layers' matrices in --dtype, 4 stores them as MatMulNBits in blocks of 32.", "32", "32", "4");
    private readonly Option<ElementType> type = Choices.DType();
    private readonly Option<int> seed = Choices.Seed();
    private readonly Option<string> model = Choices.Out("The ONNX file to write; above 2 GB the weights go to PATH.data beside it.");

    public NewCommand() : base("new", "Makes a model with random weights, for benchmarks and for training from scratch.",
        "lift new --preset 25m --vocab 4096 -o model.onnx")
    {
        foreach (Option option in new Option[] { architecture, preset, width, layers, heads, kvHeads, ffn, vocab, tied, attentionMask, form, bits, type, seed, model }) Add(option);
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        LlamaShape shape = Shape(line);
        string path = line.GetValue(model)!;
        NewModel.WriteLlama(path, shape, line.GetValue(type), line.GetValue(seed), line.GetValue(attentionMask), Enum.Parse<LlamaForm>(line.GetValue(form)!, ignoreCase: true), line.GetValue(bits) == "4" ? 4 : 0);
        output.Result(
            new { model = path, architecture = line.GetValue(architecture), dtype = Choices.Spell(line.GetValue(type)), weights = shape.AllWeights, linear_weights = shape.LinearWeights },
            console => console.WriteLine($"{path}: {shape.AllWeights:N0} weights, {shape.LinearWeights:N0} of them in linear layers."));
    }

    private LlamaShape Shape(ParseResult line)
    {
        LlamaShape named = LlamaShape.Presets[line.GetValue(preset)!];
        int Or(Option<int> option, int otherwise) => line.GetValue(option) is > 0 and var n ? n : otherwise;
        return named with
        {
            Width = Or(width, named.Width),
            Layers = Or(layers, named.Layers),
            Heads = Or(heads, named.Heads),
            KvHeads = Or(kvHeads, named.KvHeads),
            Ffn = Or(ffn, named.Ffn),
            Vocab = Or(vocab, named.Vocab),
            Tied = line.GetValue(tied) ?? named.Tied,
        };
    }
}
