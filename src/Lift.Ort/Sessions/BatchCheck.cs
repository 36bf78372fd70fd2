using Lift.Ort.Artifacts;
using Lift.Ort.Gradients;
using Lift.Ort.Lowering.Decoders;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions;

/// <summary>Checks a batch against the model's inputs before native code reads it.</summary>
internal sealed class BatchCheck(IReadOnlyList<GraphValue> inputs, ArtifactRecord record)
{
    private const long Ignored = -100;

    /// <exception cref="LiftException">An input is missing, of another type or shape, or a label is no class; the message names it.</exception>
    public void Check(IReadOnlyDictionary<string, Tensor> batch)
    {
        var symbols = new Dictionary<string, (string Input, long Size)>();
        foreach (GraphValue input in inputs)
        {
            if (!batch.TryGetValue(input.Name, out Tensor? value))
                throw new LiftException($"The batch lacks the model's input '{input.Name}' ({input.Type}); it has: {string.Join(", ", batch.Keys)}.");
            if (input.Type.Element != ElementType.Undefined && input.Type.Element != value.Type)
                throw new LiftException($"Input '{input.Name}' of the batch is {value.TensorType}, but the model takes {input.Type}.");
            if (input.Type.Shape is { } shape) CheckShape(input, shape, value, symbols);
        }
        if (record.LongestText is { } most && CacheEntry.ReferenceInput(inputs) is { } tokens && batch[tokens.Name].Dims is [_, var length, ..] && length > most)
            throw new LiftException($"A text of the batch has {length} tokens, but the model's cache holds {most}; use --max-length {most}.");
        if (record.RowsPerExample is > 1 and var rows) CheckGroups(batch, rows);
        if (record.Terms is null && record.Classes is { } classes) CheckLabels(batch, record.Labels, classes);
        foreach (ScoredTerm term in record.Terms ?? [])
            if (term is { Labels: { } name, Classes: { } count }) CheckLabels(batch, name, count);
    }

    private static void CheckShape(GraphValue input, Shape shape, Tensor value, Dictionary<string, (string Input, long Size)> symbols)
    {
        bool fits = shape.Rank == value.Dims.Length && shape.Dims.Zip(value.Dims).All(d => d.First.Value is not { } size || size == d.Second);
        if (!fits) throw new LiftException($"Input '{input.Name}' of the batch has the shape [{string.Join(", ", value.Dims)}], but the model takes {shape}.");
        foreach (var (dim, size) in shape.Dims.Zip(value.Dims))
        {
            if (dim.Symbol is not { } symbol) continue;
            if (!symbols.TryAdd(symbol, (input.Name, size)) && symbols[symbol].Size != size)
                throw new LiftException($"Inputs '{symbols[symbol].Input}' and '{input.Name}' of the batch disagree about {symbol}: {symbols[symbol].Size} and {size}.");
        }
    }

    /// <summary>Losses that compare rows with each other read whole groups of them.</summary>
    private void CheckGroups(IReadOnlyDictionary<string, Tensor> batch, int rows)
    {
        GraphValue? first = inputs.FirstOrDefault(i => i.Name != ArtifactNames.Labels && i.Type.Rank is null or > 0);
        if (first is null || batch[first.Name].Dims is not [var count, ..]) return;
        if (count % rows != 0) throw new LiftException($"Input '{first.Name}' of the batch has {count} rows, but the {record.Loss} loss reads {rows} for each example; give a multiple of {rows}.");
        if (batch.TryGetValue(ArtifactNames.Labels, out Tensor? labels) && labels.Count != count / rows)
            throw new LiftException($"The batch has {labels.Count} labels for {count} rows; the {record.Loss} loss reads one for {rows} rows.");
    }

    private static void CheckLabels(IReadOnlyDictionary<string, Tensor> batch, string name, long classes)
    {
        if (!batch.TryGetValue(name, out Tensor? labels) || labels.Type != ElementType.Int64) return;
        ReadOnlySpan<long> values = labels.AsSpan<long>();
        long row = labels.Dims.Length > 1 ? labels.Count / Math.Max(1, labels.Dims[0]) : 1;
        for (int i = 0; i < values.Length; i++)
        {
            if ((values[i] < 0 || values[i] >= classes) && values[i] != Ignored)
                throw new LiftException($"Label {values[i]} in row {i / row}, place {i % row} of the batch is no class{(name == ArtifactNames.Labels ? "" : $" ({name})")}: labels are 0 to {classes - 1}, or {Ignored} for places that do not count.");
        }
    }
}
