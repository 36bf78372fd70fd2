using System.CommandLine;
using Lift.Ort.Architectures;
using Lift.Ort.Onnx;

namespace Lift.Ort.Cli.Bench;

/// <summary>The model that <c>step</c>, <c>optimizer</c> and <c>refresh</c> measure, chosen by the same options as in the PyTorch baseline.</summary>
internal sealed class BenchModel
{
    private readonly Option<string> preset = Choices.OneOf("--preset", "Size of the model.", "25m", [.. LlamaShape.Presets.Keys]);
    private readonly Option<int> layers = Choices.Count("--layers", "This many layers instead of the preset's.");
    private readonly Option<ElementType> type = Choices.DType();

    public BenchModel(Command command)
    {
        foreach (Option option in new Option[] { preset, layers, type }) command.Add(option);
    }

    public ElementType Type(ParseResult line) => line.GetValue(type);

    public LlamaShape Shape(ParseResult line)
    {
        LlamaShape named = LlamaShape.Presets[line.GetValue(preset)!];
        return line.GetValue(layers) is > 0 and var n ? named with { Layers = n } : named;
    }

    public object Fields(ParseResult line)
    {
        LlamaShape shape = Shape(line);
        return new { preset = line.GetValue(preset), layers = shape.Layers, dtype = Choices.Spell(Type(line)), weights = shape.AllWeights, linear_weights = shape.LinearWeights };
    }

    /// <summary>The linear layers' weights with random values.</summary>
    public Tensor[] Linears(ParseResult line, int seed) =>
        [.. NewModel.Llama(Shape(line), Type(line), seed).Initializers.Values.Where(t => t.Name.EndsWith("_proj.weight", StringComparison.Ordinal))];
}
