using System.Text.Json;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Reads what a row is scored against: a class by number or name, several classes, numbers.</summary>
internal sealed class LabelReader(ModelInputs model, DataOptions options)
{
    private static readonly string[] usual = [Batch.LabelsName, "label", "target", "class", "score"], ofPixels = ["mask", "segmentation", "segmentation_map", "annotation"];

    /// <summary>The field that holds the label, or null.</summary>
    public string? FieldOf(DataRow row)
    {
        if (Array.Find(options.LabelFields, f => !row.Has(f)) is { } absent) throw row.Error($"there is no field '{absent}' (fields: {row.Fields}), which --label-field names.");
        return options.LabelFields.FirstOrDefault() ?? (row.Has(options.LabelsInput) ? options.LabelsInput : row.FirstOf(usual) ?? (model.Labels?.Type.Rank >= 3 ? row.FirstOf(ofPixels) : null));
    }

    /// <summary>True for fields that are read as a label and so never as something else.</summary>
    public bool IsLabel(string field) => options.OtherLabels.Contains(field)
        || (options.LabelFields.Length > 0 ? options.LabelFields.Contains(field) : field == options.LabelsInput || (options.OtherLabels.Count == 0 && usual.Contains(field)));

    /// <summary>The label of the whole row, in the element type and the shape (without the batch axis) that the loss wants.</summary>
    /// <exception cref="LiftException">It is missing, no class, or of the wrong type.</exception>
    public Tensor Read(DataRow row)
    {
        string field = FieldOf(row) ?? throw row.Error($"there is no field '{Batch.LabelsName}' or 'label' (fields: {row.Fields}); add it, or name the field with --label-field.");
        return options.LabelFields.Length > 1 ? Several(row) : Read(row, field);
    }

    /// <summary>One number per field, together one label.</summary>
    private Tensor Several(DataRow row)
    {
        Tensor[] parts = [.. options.LabelFields.Select(f => FieldReader.Field(row, f, row.Json.GetProperty(f), model.Labels?.Type.Element ?? ElementType.Float))];
        Tensor all = Tensor.Empty(Batch.LabelsName, parts[0].Type, [parts.Length]);
        for (int i = 0; i < parts.Length; i++)
        {
            if (parts[i].Count != 1) throw row.Error($"field '{options.LabelFields[i]}' holds {parts[i].Count} numbers where --label-field names several fields of one number each.");
            FieldReader.Set(all, i, parts[i].ToFloats()[0]);
        }
        return all;
    }

    public Tensor Read(DataRow row, string field)
    {
        JsonElement json = row.Json.GetProperty(field);
        ElementType wanted = model.Labels?.Type.Element ?? ElementType.Undefined;
        bool names = json.ValueKind == JsonValueKind.String || (json.ValueKind == JsonValueKind.Array && json.GetArrayLength() > 0 && json[0].ValueKind == JsonValueKind.String);
        if (names && options.Kind == LabelKind.Values && options.LabelRange is not [0, 1] && model.LabelWidth == 1) throw row.Wrong(field, json, "a number");
        Tensor tensor = names ? Named(row, field, json, wanted) : FieldReader.Field(row, field, json, wanted);
        if (tensor.Type == ElementType.Int64) CheckClasses(row, field, tensor);
        if (options.LabelRange is [var least, var most] && tensor.Type.IsFloat())
        {
            foreach (float label in tensor.ToFloats())
            {
                if (!(label >= least && label <= most) && label != Example.Ignored)
                    throw row.Error(FormattableString.Invariant($"label {label} in field '{field}' lies outside {least} to {most}, which the loss reads; scale the labels."));
            }
        }
        return Fit(tensor).Rename(Batch.LabelsName);
    }

    /// <summary>The number of a class that is given as number or name.</summary>
    public int ClassOf(DataRow row, string field, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number))
        {
            return number == Example.Ignored || (number >= 0 && number < (options.Classes ?? int.MaxValue)) ? number : throw OutOfRange(row, field, number);
        }
        if (value.ValueKind != JsonValueKind.String) throw row.Wrong(field, value, "a class, by number or name,");
        string name = value.GetString()!.Trim();
        IReadOnlyList<string> known = options.ClassNames ?? throw row.Error($"field '{field}' names the class '{name}', but the order of the classes is not known; give it with --class-names.");
        for (int i = 0; i < known.Count; i++)
        {
            if (known[i] == name) return i;
        }
        throw row.Error($"field '{field}' names the class '{name}', which is none of: {string.Join(", ", known.Take(20))}{(known.Count > 20 ? ", …" : "")}.");
    }

    private Tensor Named(DataRow row, string field, JsonElement json, ElementType wanted)
    {
        int[] classes = [.. (json.ValueKind == JsonValueKind.Array ? json.EnumerateArray().AsEnumerable() : [json]).Select(v => ClassOf(row, field, v))];
        if (!wanted.IsFloat()) return Tensor.From<long>(field, [.. classes.Select(c => (long)c)], json.ValueKind == JsonValueKind.Array ? [classes.Length] : []);
        if (model.LabelWidth == 1 && options.ClassNames is { Count: 2 }) return Tensor.From<float>(field, [classes.Length == 1 ? classes[0] : throw row.Wrong(field, json, "one class")], 1);
        var several = Tensor.Empty(field, ElementType.Float, [options.Classes ?? model.LabelWidth ?? options.ClassNames!.Count]); // 1 for each class that is named, 0 elsewhere
        foreach (int c in classes) several.AsSpan<float>()[c < several.Count ? c : throw OutOfRange(row, field, c)] = 1;
        return several;
    }

    /// <summary>A single number for a model that scores [batch, 1] is a list of one.</summary>
    private Tensor Fit(Tensor tensor)
    {
        if (model.Labels?.Type.Shape is not { } shape || tensor.Count != 1 || shape.Rank == tensor.Dims.Length + 1) return tensor;
        return shape.Rank >= 1 && shape.Dims.Skip(1).All(d => d.Value == 1) ? tensor.Reshape([.. Enumerable.Repeat(1L, shape.Rank - 1)]) : tensor;
    }

    private void CheckClasses(DataRow row, string field, Tensor labels)
    {
        if (options.Kind == LabelKind.Values) return;
        foreach (long label in labels.AsSpan<long>())
        {
            if (label != Example.Ignored && (label < 0 || label >= (options.Classes ?? int.MaxValue))) throw OutOfRange(row, field, label);
        }
    }

    private LiftException OutOfRange(DataRow row, string field, long label) =>
        row.Error($"label {label} in field '{field}' is out of range: the model scores classes 0 to {options.Classes - 1}, and -100 is ignored.");
}
