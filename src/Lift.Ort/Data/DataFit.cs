using System.Text.Json;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Finds out, once, when a run begins, what the options leave open: names of classes, words of columns, means and deviations. Kept with the run, so that it stays the same.</summary>
public static class DataFit
{
    /// <summary><paramref name="options"/> with everything filled in that the rows or the files beside the model tell.</summary>
    /// <param name="path">The training rows.</param>
    /// <param name="inputs">The model's inputs, labels among them.</param>
    /// <param name="notes">What the files beside the model say.</param>
    /// <exception cref="LiftException">The rows cannot be read, or name more classes than the model scores.</exception>
    public static DataOptions Of(string path, IReadOnlyList<GraphValue> inputs, DataOptions options, ModelNotes notes)
    {
        if (options.Several.Count > 0) return Several(path, inputs, options, notes);
        var model = new ModelInputs(inputs);
        int? width = options.Classes ?? model.LabelWidth;
        options = FromNotes(options, notes, width);
        if (Rows(path, options).FirstOrDefault() is not { } first) return options;

        bool names = options.ClassNames is null && (options.Kind != LabelKind.Values || options.LabelRange is [0, 1] || width != 1) && options.Kind is not (LabelKind.NextTokens or LabelKind.Sequence or LabelKind.PairScores or LabelKind.None) && Labels(FirstLabelled(path, first, options), model, options) is not null;
        string[] columns = Columns(first, model, options);
        string[] words = options.Table.Categories is not null ? [] : [.. columns.Where(c => IsWord(first, c))];
        bool statistics = options.Table is { Standardize: true, Mean: null };
        if (!names && words.Length == 0 && !statistics) return options;

        var classes = new SortedSet<string>(StringComparer.Ordinal);
        var found = words.ToDictionary(w => w, _ => new SortedSet<string>(StringComparer.Ordinal));
        var moments = new (double Sum, double Squares, long Count)[columns.Length];
        foreach (DataRow row in Rows(path, options).Take(options.Limit))
        {
            if (names) classes.UnionWith(Labels(row, model, options) ?? []);
            foreach (string word in words) if (IsWord(row, word)) found[word].Add(row.Text(word).Trim());
            if (statistics) Add(moments, row, columns);
        }
        bool yesNo = options.Kind == LabelKind.Values && width == 1 && classes.Count == 2; // one score: the second name is yes
        if (names && width is { } most && classes.Count > most && !yesNo)
            throw new LiftException($"{path} names {classes.Count} classes ({string.Join(", ", classes.Take(10))}{(classes.Count > 10 ? ", …" : "")}), but the model scores {most}; leave some out, or take a model with more.");
        TableOptions table = options.Table with
        {
            Features = options.Table.Features ?? (statistics || words.Length > 0 ? columns : null),
            Categories = words.Length > 0 ? found.ToDictionary(f => f.Key, f => (IReadOnlyList<string>)[.. f.Value]) : options.Table.Categories,
        };
        if (statistics) table = table with { Mean = [.. moments.Select(m => m.Count > 0 ? m.Sum / m.Count : 0)], Deviation = [.. moments.Select(Deviation)] };
        return options with { ClassNames = names ? [.. classes] : options.ClassNames, Table = table };
    }

    /// <summary>Each of several labels as if it were the only one; everything else once.</summary>
    private static DataOptions Several(string path, IReadOnlyList<GraphValue> inputs, DataOptions options, ModelNotes notes)
    {
        if (Rows(path, options).FirstOrDefault() is not { } first) return options;
        string[] fields = [.. options.Several.Select(c => SeveralLabels.FieldOf(first, c))];
        if (options.ClassNames is { } given)
        {
            LabelColumn[] fitting = [.. options.Several.Where(c => c.Classes == given.Count)];
            if (fitting.Length != 1) throw new LiftException($"--class-names gives {given.Count} names, which fit {(fitting.Length == 0 ? "none" : "several")} of the losses ({string.Join(", ", options.Several.Select(c => $"{c.Output}: {c.Classes?.ToString() ?? "no"} classes"))}); leave it out, so that the rows' own names are taken, sorted.");
            options = options with { ClassNames = null, Several = [.. options.Several.Select(c => c == fitting[0] ? c with { ClassNames = given } : c)] };
        }
        DataOptions rest = Of(path, SeveralLabels.Without(inputs, options), options with { Several = [], OtherLabels = SeveralLabels.Names(fields), Kind = LabelKind.None }, notes);
        LabelColumn[] columns = [.. options.Several.Zip(fields, (column, field) =>
        {
            if (column.ClassNames is not null || column.Kind is LabelKind.NextTokens or LabelKind.Sequence) return column;
            var (own, alone) = SeveralLabels.Alone(inputs, options, column, field, fields);
            return column with { ClassNames = Of(path, own, alone with { Table = new() }, notes with { ClassNames = null }).ClassNames };
        })];
        return rest with { Several = columns, OtherLabels = [], Kind = options.Kind };
    }

    private static IEnumerable<DataRow> Rows(string path, DataOptions options) =>
        options.InputFields is { } named ? RecordFile.Read(path).Select(r => ExampleMaker.Renamed(r, named)) : RecordFile.Read(path);

    private static DataOptions FromNotes(DataOptions options, ModelNotes notes, int? width)
    {
        bool image = notes.Preprocessor is not null && Preprocessor.IsImage(notes.Preprocessor);
        return options with
        {
            ClassNames = options.ClassNames ?? (options.Kind is LabelKind.Classes or LabelKind.Values && notes.ClassNames?.Count == width ? notes.ClassNames : null),
            DecoderStart = options.DecoderStart ?? notes.DecoderStart,
            Image = options.Image ?? (image ? ImageOptions.Read(notes.Preprocessor!) : null),
            Audio = options.Audio ?? (notes.Preprocessor is not null && !image ? AudioOptions.Read(notes.Preprocessor) : null),
        };
    }

    /// <summary>The first row whose label is there: of several labels one may be empty.</summary>
    private static DataRow FirstLabelled(string path, DataRow first, DataOptions options) =>
        options.OtherLabels.Count == 0 || options.LabelFields.All(first.Has) ? first : Rows(path, options).FirstOrDefault(r => options.LabelFields.All(r.Has)) ?? first;

    /// <summary>The names in a row's label, null where labels are numbers.</summary>
    private static string[]? Labels(DataRow row, ModelInputs model, DataOptions options)
    {
        if (options.OtherLabels.Count > 0 && !options.LabelFields.All(row.Has)) return null;
        string? field = LabelledWords.WordField(row, options) is not null && !model.WholeRowLabels ? LabelledWords.TagField(row, options) : new LabelReader(model, options).FieldOf(row);
        if (field is null || !row.Has(field)) return null;
        JsonElement label = row.Json.GetProperty(field);
        JsonElement[] all = label.ValueKind == JsonValueKind.Array ? [.. label.EnumerateArray()] : [label];
        bool named = all.Length > 0 && all.All(l => l.ValueKind == JsonValueKind.String) && !(label.ValueKind == JsonValueKind.String && MediaFile.IsKnown(label.GetString()!));
        return named ? [.. all.Select(l => l.GetString()!.Trim())] : null;
    }

    /// <summary>The columns that become numbers: of the feature vector, and single columns that are inputs of the model by name.</summary>
    private static string[] Columns(DataRow row, ModelInputs model, DataOptions options)
    {
        if (model.Tokens is not null) return [];
        string[] named = [.. model.All.Where(i => model.MustBeGiven(i) && ModelInputs.IsScalar(i) && row.Has(i.Name) && row.Json.GetProperty(i.Name).ValueKind is JsonValueKind.Number or JsonValueKind.String or JsonValueKind.True or JsonValueKind.False)
            .Select(i => i.Name).Where(n => !MediaFile.IsKnown(row.Text(n)))];
        return named.Length > 0 ? named : model.OnlyGiven is not null ? TableReader.Columns(row, model, options) : [];
    }

    private static bool IsWord(DataRow row, string column) => row.Has(column) && row.Json.GetProperty(column).ValueKind == JsonValueKind.String;

    private static void Add((double Sum, double Squares, long Count)[] moments, DataRow row, string[] columns)
    {
        for (int i = 0; i < columns.Length; i++)
        {
            if (!row.Has(columns[i]) || row.Json.GetProperty(columns[i]) is not { ValueKind: JsonValueKind.Number } cell) continue;
            double value = cell.GetDouble();
            moments[i] = (moments[i].Sum + value, moments[i].Squares + (value * value), moments[i].Count + 1);
        }
    }

    private static double Deviation((double Sum, double Squares, long Count) m)
    {
        if (m.Count == 0) return 1;
        double mean = m.Sum / m.Count, variance = (m.Squares / m.Count) - (mean * mean);
        return variance > 1e-12 * Math.Max(1, mean * mean) ? Math.Sqrt(variance) : 1;
    }
}
