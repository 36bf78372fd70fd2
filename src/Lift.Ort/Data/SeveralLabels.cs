using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Rows with a label for each of several losses: each is read as it would be alone. At most one may have a label per token.</summary>
internal sealed class SeveralLabels
{
    private readonly DataOptions options;
    private readonly IReadOnlyList<GraphValue> inputs;
    private readonly ITokenizer? tokenizer;
    private readonly Dictionary<LabelColumn, ExampleMaker> makers = [];
    private string[] fields = [];
    private InputReader? plain;

    public SeveralLabels(ITokenizer? tokenizer, IReadOnlyList<GraphValue> inputs, DataOptions options)
    {
        (this.tokenizer, this.inputs, this.options) = (tokenizer, inputs, options);
        LabelColumn[] perToken = [.. options.Several.Where(c => IsPerToken(inputs, c))];
        if (perToken.Length > 1)
            throw new LiftException($"The losses over '{perToken[0].Output}' and '{perToken[1].Output}' both read a label per token; one of several losses may: leave one out.");
        Tokens = perToken.FirstOrDefault();
    }

    /// <summary>The label with an entry per token, or null.</summary>
    public LabelColumn? Tokens { get; }

    /// <summary>Rows that were cut at <see cref="DataOptions.MaxLength"/>.</summary>
    public int Truncated => Tokens is not null ? makers.GetValueOrDefault(Tokens)?.Truncated ?? 0 : plain?.Truncated ?? 0;

    /// <exception cref="LiftException">A label or an input is missing or wrong; the message names row and field.</exception>
    public Example Make(DataRow row)
    {
        if (makers.Count == 0) Open(row);
        Example example = Tokens is not null ? makers[Tokens].Form(row) : plain!.Read(row);
        var values = Renamed(example.Values, Tokens?.Input);
        var files = Renamed(example.Files, Tokens?.Input);
        var none = new Example(row.Row, [], [], Example.NoValues);
        foreach (LabelColumn column in options.Several.Where(c => c != Tokens))
        {
            if (Empty(row, column) is { } nothing)
            {
                values[column.Input] = nothing;
                continue;
            }
            Example label = makers[column].WithLabel(row, none);
            if (label.Values.TryGetValue(Batch.LabelsName, out Tensor? value)) values[column.Input] = value;
            if (label.Files.TryGetValue(Batch.LabelsName, out FileTensor? file)) files[column.Input] = file;
        }
        return example with { Values = values, Files = files };
    }

    /// <summary>True where the loss reads a label per token of the model's text.</summary>
    public static bool IsPerToken(IReadOnlyList<GraphValue> inputs, LabelColumn column) => column.Kind is LabelKind.NextTokens or LabelKind.Sequence
        || (column.Kind == LabelKind.Classes && inputs.FirstOrDefault(i => i.Name == column.Input)?.Type.Rank == 2 && new ModelInputs([.. inputs.Where(i => !i.Name.StartsWith(Batch.LabelsName))]).Tokens is not null);

    /// <summary>The field of a row that a label is read from: the one that is named, else the output's, with or without "logits" and "label" about it.</summary>
    /// <exception cref="LiftException">There is none.</exception>
    public static string FieldOf(DataRow row, LabelColumn column)
    {
        bool There(string field) => row.Json.TryGetProperty(field, out _); // an empty one too
        if (column.Field is { } named) return Array.Find(named.Split(','), f => !There(f.Trim())) is not { } absent ? named : throw row.Error($"there is no field '{absent}' (fields: {row.Fields}), which the {column.Output} output is scored against.");
        if (column.Kind is LabelKind.NextTokens or LabelKind.Sequence) return ""; // the row's own text, as where it is the only label
        string bare = column.Output.Replace("logits", "").Replace("output", "").Trim('_', '.', '-', '/');
        string[] candidates = [column.Output, column.Input, bare, $"label_{bare}", $"{bare}_label", $"labels_{bare}", $"{bare}_labels", $"target_{bare}", $"{bare}_target"];
        return Array.Find(candidates, c => c.Length > 0 && There(c)) ?? throw row.Error($"there is no label for the output '{column.Output}' (fields: {row.Fields}); add a field '{(bare.Length > 0 ? bare : column.Output)}', or name the field when the model is prepared: --loss NAME:{column.Output}=FIELD.");
    }

    /// <summary>What one label is read with: as if it were the only one.</summary>
    public static (IReadOnlyList<GraphValue> Inputs, DataOptions Options) Alone(IReadOnlyList<GraphValue> inputs, DataOptions options, LabelColumn column, string field, IEnumerable<string> fields) =>
        ([.. Without(inputs, options), .. inputs.Where(i => i.Name == column.Input).Select(i => i with { Name = Batch.LabelsName })], options with
        {
            Several = [],
            OtherLabels = Names(fields),
            Kind = column.Kind,
            LabelField = field.Length > 0 ? field : null,
            LabelRange = column.Range,
            Shifted = column.Kind == LabelKind.NextTokens,
            VocabularySize = column.Kind == LabelKind.NextTokens ? column.Classes : null,
            Classes = column.Kind == LabelKind.NextTokens ? null : column.Classes,
            ClassNames = column.ClassNames,
        });

    /// <summary>Fields one by one: a label may be made of several, with commas between them.</summary>
    public static string[] Names(IEnumerable<string> fields) => [.. fields.SelectMany(f => f.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))];

    /// <summary>The model's inputs without labels.</summary>
    public static IReadOnlyList<GraphValue> Without(IReadOnlyList<GraphValue> inputs, DataOptions options) => [.. inputs.Where(i => options.Several.All(c => c.Input != i.Name))];

    /// <summary>The first row says which field holds which label; none of them is a feature.</summary>
    private void Open(DataRow row)
    {
        fields = [.. options.Several.Select(c => FieldOf(row, c))];
        foreach (var (column, field) in options.Several.Zip(fields))
        {
            var (own, how) = Alone(inputs, options, column, field, fields);
            makers[column] = new ExampleMaker(tokenizer, new ModelInputs(own), how);
        }
        plain = new InputReader(tokenizer, new ModelInputs(Without(inputs, options)), options with { OtherLabels = Names(fields), Several = [] });
    }

    /// <summary>The label that no loss counts, where the row's field is empty and the loss leaves such labels out; null otherwise.</summary>
    private Tensor? Empty(DataRow row, LabelColumn column)
    {
        string field = fields[options.Several.ToList().IndexOf(column)];
        if (!column.MayBeEmpty || !row.Json.TryGetProperty(field, out var value) || value.ValueKind != System.Text.Json.JsonValueKind.Null) return null;
        TensorType type = inputs.First(i => i.Name == column.Input).Type;
        long?[] dims = [.. (type.Shape?.Dims ?? []).Skip(1).Select(d => d.Value)];
        if (type.Shape is null || dims.Contains(null)) return null;
        Tensor nothing = Tensor.Empty(column.Input, type.Element, [.. dims.Select(d => d!.Value)]);
        for (int i = 0; i < nothing.Count; i++) FieldReader.Set(nothing, i, Example.Ignored);
        return nothing;
    }

    private static Dictionary<string, T> Renamed<T>(IReadOnlyDictionary<string, T> values, string? labels) =>
        values.ToDictionary(v => v.Key == Batch.LabelsName && labels is not null ? labels : v.Key, v => v.Value);
}
