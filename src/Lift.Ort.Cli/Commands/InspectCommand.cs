using System.CommandLine;
using Lift.Ort.Artifacts;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions.Fusions;
using Spectre.Console;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift inspect</c>: what is in a model or in a prepared folder.</summary>
internal sealed class InspectCommand : LiftCommand
{
    private readonly Argument<string> model = new("MODEL or DIR") { Description = "An ONNX file, or a folder that `lift prepare` made." };
    private readonly Option<string?> scored = new("--output") { Description = "The output that is scored; default: logits, else the first float output.", HelpName = "NAME" };

    private readonly Option<Dictionary<string, long>> dims = Choices.Dims();

    public InspectCommand() : base("inspect", "Shows a model's inputs, outputs, operators and weights: which can be trained, and what stands in the way.", "lift inspect model.onnx")
    {
        Add(model);
        Add(scored);
        Add(dims);
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        string path = line.GetValue(model)!;
        if (File.Exists(path)) ModelFile = path;
        if (Directory.Exists(path)) Folder(ArtifactFolder.Open(path), output);
        else Model(path, ModelSurvey.Of(FixedDims.Apply(OnnxFile.Read(path), line.GetValue(dims) ?? []), line.GetValue(scored)), output);
    }

    private static void Model(string path, ModelSurvey survey, Output output)
    {
        Graph graph = survey.Graph;
        var renewed = graph.Nodes.Where(n => n.Operator == "BatchNormalization" && n.Int("training_mode") != 0).SelectMany(n => n.Inputs.Skip(3)).ToHashSet();
        Recognition recognised = Recognition.Of(graph);
        var operators = graph.Nodes.CountBy(n => n.Operator).OrderBy(o => o.Key, StringComparer.Ordinal).ToDictionary();
        output.Result(new
        {
            model = path,
            opset = graph.Opset,
            inputs = graph.Inputs.Select(Describe),
            outputs = graph.Outputs.Select(Describe),
            scored = survey.Scored,
            operators,
            recognised = new
            {
                attentions = recognised.Attentions,
                grouped_query = recognised.Grouped,
                rotary_embeddings = recognised.RotaryEmbeddings,
                layer_normalizations = recognised.LayerNormalizations,
                rms_normalizations = recognised.RmsNormalizations,
                gelus = recognised.Gelus,
            },
            weights = survey.Weights.Select(w => new
            {
                name = w.Weight.Name,
                layer = w.Weight.Layer,
                kind = w.Weight.Kind.ToString().ToLowerInvariant(),
                dtype = Choices.Spell(w.Weight.Value.Type),
                shape = w.Weight.Value.Dims,
                layout = Layout(w),
                trainable = w.Trainable,
                renewed = renewed.Contains(w.Weight.Name),
                trained_by_default = w.Trainable && w.Weight.IsLiftDefault,
            }),
            quantized = survey.Quantized.Select(q => new { weight = q.Weight, layer = q.Layer, op = q.Node.Operator, bits = q.Bits, block_size = q.BlockSize, shape = q.Dims, dequantizable = q.CanBecomeFloat }),
            lacking_rules = survey.Lacking.Select(l => new { node = l.Node, op = l.Operator, weights = l.Weights, reason = l.Reason }),
        }, console =>
        {
            foreach (GraphValue input in graph.Inputs) console.WriteLine($"input   {input.Name} {input.Type}");
            foreach (GraphValue value in graph.Outputs) console.WriteLine($"output  {value.Name} {graph.TypeOf(value.Name)}{(value.Name == survey.Scored ? "  (scored)" : "")}");
            console.WriteLine($"opset   {graph.Opset} (as read), {graph.Nodes.Count} nodes: {string.Join(", ", operators.Select(o => $"{o.Key} {o.Value}"))}");
            console.WriteLine($"Recognised: {recognised}");
            var table = new Table().AddColumns("weight", "layer", "kind", "type", "shape", "training");
            foreach (SurveyedWeight w in survey.Weights)
            {
                string training = renewed.Contains(w.Weight.Name) ? "by each batch" : !w.Trainable ? "no" : w.Weight.IsLiftDefault ? "by default" : "with --train";
                string shape = $"[{string.Join(", ", w.Weight.Value.Dims)}]{(Layout(w) is { } layout ? $" {layout}" : "")}";
                table.AddRow([.. new[] { w.Weight.Name, w.Weight.Layer, w.Weight.Kind.ToString().ToLowerInvariant(), Choices.Spell(w.Weight.Value.Type), shape, training }.Select(c => new Text(c))]);
            }
            foreach (QuantizedLayer q in survey.Quantized)
            {
                string type = $"{q.Bits} bits{(q.BlockSize is { } size ? $" in blocks of {size}" : "")}";
                table.AddRow([.. new[] { q.Weight, q.Layer, "quantized", type, $"[{string.Join(", ", q.Dims)}]", q.CanBecomeFloat ? "with --dequantize" : "no" }.Select(c => new Text(c))]);
            }
            console.Write(table);
            foreach (LackingRule rule in survey.Lacking)
                console.WriteLine($"{rule.Reason ?? $"No gradient rule for {rule.Operator} '{rule.Node}'"}; {rule.Weights.Length} weights wait for it, for instance '{rule.Weights[0]}'.");
        });
    }

    private static void Folder(ArtifactFolder folder, Output output)
    {
        ArtifactRecord record = folder.Record;
        output.Result(new
        {
            folder = folder.Directory,
            source = folder.Source,
            loss = record.Loss,
            scored = record.Scored,
            losses = record.AllTerms.Select(t => new { loss = t.Loss, outputs = t.Outputs, labels = t.Labels, field = t.Field, weight = t.Weight }),
            statistics = record.Statistics?.Select(s => s.Name) ?? [],
            inputs = record.Inputs,
            storage = record.Storage.ToString().ToLowerInvariant(),
            weights = record.Weights.Select(w => new { name = w.Name, layer = w.Layer, dtype = Choices.Spell(w.Type), shape = w.Dims }),
        }, console =>
        {
            console.WriteLine($"prepared from {folder.Source ?? "an unknown model"}, {(record.AllTerms.Count > 0 ? string.Join(" + ", record.AllTerms) : $"loss unknown over {record.Scored ?? "unknown"}")}, values in {record.Storage.ToString().ToLowerInvariant()}");
            console.WriteLine($"inputs  {string.Join(", ", record.Inputs)}");
            var table = new Table().AddColumns("trainable weight", "layer", "type", "shape");
            foreach (WeightRecord w in record.Weights) table.AddRow(new Text(w.Name), new Text(w.Layer), new Text(Choices.Spell(w.Type)), new Text($"[{string.Join(", ", w.Dims)}]"));
            console.Write(table);
        });
    }

    private static object Describe(GraphValue value) => new { name = value.Name, dtype = Choices.Spell(value.Type.Element), shape = value.Type.Shape?.Dims.Select(d => d.ToString()) };

    private static string? Layout(SurveyedWeight w) => w.Weight.Value.Dims.Length != 2 || !w.Weight.IsLiftDefault ? null : w.Weight.Transposed ? "[in, out]" : "[out, in]";
}
