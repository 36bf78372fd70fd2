using System.Text.Json;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Rows that a loss compares with each other: anchor and positive (and a negative), or two texts with a score. One row of data makes two or three of the batch.</summary>
internal sealed class ComparedRows(InputReader inputs, LabelReader labels, ModelInputs model, DataOptions options)
{
    /// <exception cref="LiftException">A field is missing, or does not hold one value per part.</exception>
    public Example Make(DataRow row)
    {
        var values = new Dictionary<string, Tensor>();
        if (options.Kind == LabelKind.PairScores) values[Batch.LabelsName] = labels.Read(row);
        return new Example(row.Row, [], [], values) { Parts = [.. Parts(row).Select(p => p with { Labels = [] })] };
    }

    private IEnumerable<Example> Parts(DataRow row)
    {
        if (inputs.ReadyField(row) is null && model.Tokens is not null)
        {
            string[] fields = options.TextFields.Length == options.Group ? options.TextFields : TextFields.Compared(row, options.Group) ?? throw row.Error(
                $"the loss compares {options.Group} texts, but no known fields hold them (fields: {row.Fields}); use anchor and positive{(options.Group == 3 ? " and negative" : "")}, or sentence1 and sentence2.");
            return fields.Select(f => inputs.Text(row, row.Text(f)));
        }
        return Enumerable.Range(0, options.Group).Select(i => inputs.Read(Part(row, i)));
    }

    /// <summary>The row in which every list of one value per part holds that of part <paramref name="index"/> only.</summary>
    private DataRow Part(DataRow row, int index)
    {
        var fields = new Dictionary<string, JsonElement>();
        bool any = false;
        foreach (JsonProperty field in row.Json.EnumerateObject())
        {
            bool split = !labels.IsLabel(field.Name) && field.Value.ValueKind == JsonValueKind.Array && field.Value.GetArrayLength() == options.Group;
            fields[field.Name] = split ? field.Value[index] : field.Value;
            any |= split;
        }
        return any ? row.With(fields) : throw row.Error($"the loss compares {options.Group} rows, but no field holds a list of {options.Group} (fields: {row.Fields}); write each input as a list, one entry per part.");
    }
}
