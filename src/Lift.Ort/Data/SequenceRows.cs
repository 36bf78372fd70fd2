using System.Text.Json;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Rows whose label is a text of its own: a source and a target (encoder-decoder), or a recording and what is said in it.</summary>
internal sealed class SequenceRows(InputReader inputs, ModelInputs model, DataOptions options)
{
    /// <exception cref="LiftException">Source or target is missing or empty.</exception>
    public Example Make(DataRow row)
    {
        int[] target = Target(row);
        if (target.Length == 0) throw row.Error($"the target is empty (fields: {row.Fields}); give what the model shall write.");
        if (target.Length > options.MaxLength) (inputs.Truncated, target) = (inputs.Truncated + 1, target[..options.MaxLength]);
        foreach (int label in target)
        {
            if (label != Example.Ignored && (label < 0 || label >= (options.Classes ?? int.MaxValue)))
                throw row.Error($"token {label} of the target is out of range: the model scores classes 0 to {options.Classes - 1}; use the model's own tokenizer.");
        }
        bool text = model.Tokens is not null && inputs.ReadyField(row) is null;
        Example read = text && options.TextFields is [var own] ? inputs.Text(row, row.Text(own)) : text && TextFields.Translation(row) is { } both ? inputs.Text(row, both.Source) : inputs.Read(row);
        return read with { Labels = target };
    }

    /// <summary>The text that shall be written; null where the row holds it as ready tokens.</summary>
    public string? TargetText(DataRow row) => row.Has(Batch.LabelsName) && row.Json.GetProperty(Batch.LabelsName).ValueKind == JsonValueKind.Array ? null
        : options.LabelFields is [var field] ? row.Text(field) : TextFields.Translation(row)?.Target ?? TextFields.Target(row) ?? "";

    private int[] Target(DataRow row)
    {
        if (TargetText(row) is not { } text) return row.Ints(Batch.LabelsName);
        if (string.IsNullOrWhiteSpace(text)) throw row.Error($"the target is missing or empty (fields: {row.Fields}); use source and target, a text field, or labels with ready tokens.");
        ITokenizer words = inputs.Tokenizer(row);
        return model.HasDecoder ? [.. words.EncodeFromStart(text), .. words.Suffix] : words.Encode(text); // a decoder learns to end; alignments over time have no end
    }
}
