using System.CommandLine;
using Lift.Ort.Data;
using Lift.Ort.Onnx;

namespace Lift.Ort.Cli;

/// <summary>Options that say how rows become a model's inputs and labels.</summary>
internal sealed class DataChoices
{
    /// <summary>What <c>--data</c> takes.</summary>
    public const string Forms = "JSON, JSONL, CSV or TSV file, or a folder with a folder of files per class";

    private readonly Option<string?> textField = new("--text-field") { Description = "Field or column with the text; several with commas between them: two texts read together, or anchor, positive and negative.", HelpName = "A,B,…" };
    private readonly Option<string?> labelField = new("--label-field") { Description = "Field or column with the label, or several of one number each with commas between them; default: labels, label, target, class or score.", HelpName = "A,B,…" };
    private readonly Option<string?> classNames = new("--class-names") { Description = "Names of the classes in the order of their numbers, with commas between them, or a file with one a line; default: id2label beside the model, else the rows' own, sorted.", HelpName = "A,B,…|FILE" };
    private readonly Option<string?> features = new("--features") { Description = "Columns of the feature vector, with commas between them; default: every column of numbers but the label.", HelpName = "A,B,…" };
    private readonly Option<bool> standardize = new("--standardize") { Description = "Each feature minus its mean, divided by its deviation, over the training rows (kept with the run)." };
    private readonly Option<string?> preprocessor = new("--preprocessor") { Description = "preprocessor_config.json (or its folder) that says how images or sounds become numbers; default: beside the model.", HelpName = "FILE" };
    private readonly Option<string?> imageSize = new("--image-size") { Description = "Size to which images are brought: N, or HEIGHTxWIDTH; default: the preprocessor's, else the model's own where it is fixed.", HelpName = "HxW" };
    private readonly Option<int?> decoderStart = new("--decoder-start") { Description = "Token that a decoder begins with; default: config.json beside the model, else the padding token.", HelpName = "ID" };

    private readonly Option<string?> inputs = new("--inputs") { Description = "Fields that the model's inputs are read from, where their names differ: INPUT=FIELD, with commas between them.", HelpName = "A=B,…" };

    public IEnumerable<Option> All => [inputs, textField, labelField, classNames, features, standardize, preprocessor, imageSize, decoderStart];

    /// <summary>The options on top of <paramref name="rows"/>.</summary>
    /// <exception cref="LiftException">A file that they name cannot be read.</exception>
    public DataOptions Read(ParseResult line, DataOptions rows)
    {
        string? config = line.GetValue(preprocessor) is { } named ? Directory.Exists(named) ? Path.Combine(named, "preprocessor_config.json") : named : null;
        if (config is not null && !File.Exists(config)) throw new LiftException($"There is no '{config}'; name a preprocessor_config.json with --preprocessor.");
        bool image = config is not null && ImageOptions.IsMeant(config);
        return rows with
        {
            InputFields = line.GetValue(inputs) is { } fields ? Fields(fields) : rows.InputFields,
            TextField = line.GetValue(textField) ?? rows.TextField,
            LabelField = line.GetValue(labelField) ?? rows.LabelField,
            ClassNames = line.GetValue(classNames) is { } names ? File.Exists(names) ? [.. File.ReadLines(names).Select(n => n.Trim()).Where(n => n.Length > 0)] : Words(names) : rows.ClassNames,
            DecoderStart = line.GetValue(decoderStart) ?? rows.DecoderStart,
            Table = rows.Table with { Features = line.GetValue(features) is { } columns ? Words(columns) : rows.Table.Features, Standardize = line.GetValue(standardize) || rows.Table.Standardize },
            Image = Sized(line.GetValue(imageSize), image ? ImageOptions.Read(config!) : rows.Image),
            Audio = config is not null && !image ? AudioOptions.Read(config) : rows.Audio,
        };
    }

    /// <summary>What was found out about the rows, a line each.</summary>
    public static IEnumerable<string> Describe(DataOptions rows, IReadOnlyList<GraphValue> inputs)
    {
        if (rows.ClassNames is { Count: > 0 } names) yield return $"Classes: {string.Join(", ", names.Take(30).Select((n, i) => $"{i} {n}"))}{(names.Count > 30 ? ", …" : "")}.";
        foreach (LabelColumn column in rows.Several.Where(c => c.ClassNames is not null)) yield return $"Classes of '{column.Output}': {string.Join(", ", column.ClassNames!.Take(30).Select((n, i) => $"{i} {n}"))}{(column.ClassNames!.Count > 30 ? ", …" : "")}.";
        if (rows.Table.Features is { } features) yield return $"Features: {string.Join(", ", features)}{(rows.Table.Standardize ? ", standardised" : "")}.";
        foreach (var (column, words) in rows.Table.Categories ?? new Dictionary<string, IReadOnlyList<string>>())
            yield return $"Column '{column}': {string.Join(", ", words.Take(30).Select((w, i) => $"{i} {w}"))}{(words.Count > 30 ? ", …" : "")}.";
        if (rows.Image is not null && inputs.Any(i => i.Type.Rank == 4)) yield return $"Images: {rows.Image}.";
        if (rows.Audio is not null && inputs.Any(i => i.Type.Element.IsFloat() && i.Type.Rank is 2 or 3)) yield return $"Sounds: {rows.Audio}.";
    }

    private static ImageOptions? Sized(string? size, ImageOptions? image)
    {
        if (size is null) return image;
        int[] sides = [.. size.Split('x').Select(s => int.TryParse(s, out int n) && n > 0 ? n : throw new LiftException($"--image-size is '{size}'; give a number of pixels, or HEIGHTxWIDTH."))];
        if (sides.Length > 2) throw new LiftException($"--image-size is '{size}'; give a number of pixels, or HEIGHTxWIDTH.");
        return (image ?? new()) with { Height = sides[0], Width = sides[^1], ShortestEdge = 0, CropHeight = 0, CropWidth = 0 };
    }

    private static Dictionary<string, string> Fields(string list)
    {
        var fields = new Dictionary<string, string>();
        foreach (string pair in Words(list))
        {
            string[] sides = pair.Split('=', StringSplitOptions.TrimEntries);
            if (sides.Length != 2 || sides[0].Length == 0 || sides[1].Length == 0 || !fields.TryAdd(sides[0], sides[1])) throw new LiftException($"--inputs holds '{pair}'; write INPUT=FIELD once for each input, with commas between them.");
        }
        return fields;
    }

    private static string[] Words(string list) => list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
}
