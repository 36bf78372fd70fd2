using System.Text.Json;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Columns of a table: one feature vector of many columns, words as numbers, features standardised.</summary>
internal sealed class TableReader(ModelInputs model, DataOptions options)
{
    private readonly LabelReader labels = new(model, options);
    private string[]? columns = options.Table.Features is { } named ? [.. named] : null;

    /// <summary>True for an input that can take a feature vector: numbers in [batch, features].</summary>
    public bool Fits(GraphValue input) => input.Type.Rank is 2 or null && input.Type.Element is not ElementType.String;

    /// <summary>True for a column of words whose numbers are known.</summary>
    public bool IsCategory(string field) => options.Table.Categories?.ContainsKey(field) == true;

    /// <summary>The columns of the feature vector: those named, else every column of <paramref name="row"/> that holds a number and is not the label.</summary>
    public static string[] Columns(DataRow row, ModelInputs model, DataOptions options)
    {
        if (options.Table.Features is { } named) return [.. named];
        var labels = new LabelReader(model, options);
        string[] label = options.OtherLabels.Count > 0 ? [.. options.OtherLabels] : options.LabelFields.Length > 0 ? options.LabelFields : labels.FieldOf(row) is { } one ? [one] : [];
        return [.. row.Json.EnumerateObject().Where(p => !label.Contains(p.Name) && p.Value.ValueKind is JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False && !label.Contains(p.Name)).Select(p => p.Name)];
    }

    /// <summary>The feature vector of a row.</summary>
    /// <exception cref="LiftException">A column is missing or empty, holds a word that is no number, or there are more or fewer than the model reads.</exception>
    public Tensor Read(DataRow row, GraphValue input)
    {
        columns ??= Columns(row, model, options);
        long? wanted = input.Type.Shape is { Rank: 2 } s ? s[1].Value : null;
        if (columns.Length == 0 || (wanted is { } n && n != columns.Length))
            throw row.Error($"there is no field '{input.Name}', and {columns.Length} columns hold numbers ({string.Join(", ", columns)}), where the model reads {wanted?.ToString() ?? "some"} ({input.Type}); name the columns with --features, in the model's order.");
        var tensor = Tensor.Empty(input.Name, input.Type.Element == ElementType.Undefined ? ElementType.Float : input.Type.Element, [columns.Length]);
        for (int i = 0; i < columns.Length; i++) FieldReader.Set(tensor, i, Standard(columns[i], Number(row, columns[i])));
        return tensor;
    }

    /// <summary>A word's number, in its column.</summary>
    public Tensor Category(DataRow row, string field, ElementType type)
    {
        var tensor = Tensor.Empty(field, type == ElementType.Undefined ? ElementType.Int64 : type, []);
        FieldReader.Set(tensor, 0, Number(row, field));
        return tensor;
    }

    /// <summary>A field of single numbers, standardised where its mean is known.</summary>
    public Tensor Standard(string field, Tensor value)
    {
        if (value.Type == ElementType.Float && value.Count == 1) value.AsSpan<float>()[0] = (float)Standard(field, value.AsSpan<float>()[0]);
        return value;
    }

    /// <summary>The number in a cell: itself, or the place of its word among the column's words.</summary>
    public double Number(DataRow row, string field)
    {
        if (!row.Has(field)) throw row.Error($"column '{field}' is empty or missing (fields: {row.Fields}); fill it, leave the row out, or leave the column out with --features.");
        JsonElement cell = row.Json.GetProperty(field);
        if (cell.ValueKind is JsonValueKind.True or JsonValueKind.False) return cell.GetBoolean() ? 1 : 0;
        if (cell.ValueKind == JsonValueKind.Number) return cell.GetDouble();
        if (cell.ValueKind != JsonValueKind.String) throw row.Wrong(field, cell, "a number");
        if (options.Table.Categories?.GetValueOrDefault(field) is not { } words) throw row.Wrong(field, cell, "a number");
        string word = cell.GetString()!.Trim();
        for (int i = 0; i < words.Count; i++)
        {
            if (words[i] == word) return i;
        }
        throw row.Error($"column '{field}' holds '{word}', which the training rows do not have; they have: {string.Join(", ", words.Take(20))}{(words.Count > 20 ? ", …" : "")}.");
    }

    private double Standard(string field, double value)
    {
        TableOptions t = options.Table;
        if (t is not { Standardize: true, Features: { } names, Mean: { } mean, Deviation: { } deviation }) return value;
        for (int i = 0; i < names.Count; i++)
        {
            if (names[i] == field && !IsCategory(field)) return (value - mean[i]) / deviation[i];
        }
        return value;
    }
}
