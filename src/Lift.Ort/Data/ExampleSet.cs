using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>All examples of a file, in memory (4 bytes per id and label).</summary>
/// <param name="Truncated">Rows cut at the maximal length.</param>
/// <param name="Skipped">Rows left out because cutting left no label.</param>
public sealed record ExampleSet(IReadOnlyList<Example> Examples, int Truncated, int Skipped)
{
    /// <summary>Reads rows of any of the forms that <see cref="RecordFile"/> knows and makes them examples.</summary>
    /// <param name="tokenizer">Null for ready tokens and for data that is not text.</param>
    /// <exception cref="LiftException">The file or a row cannot be used; the message names file, row, field and value.</exception>
    public static ExampleSet Read(string path, ITokenizer? tokenizer, IReadOnlyList<GraphValue> inputs, DataOptions options)
    {
        if (options.MaxLength < 1) throw new LiftException($"Rows cannot be cut at {options.MaxLength} tokens; --max-length must be 1 or more.");
        var maker = new ExampleMaker(tokenizer, new ModelInputs(inputs), options);
        var examples = new List<Example>();
        foreach (var row in RecordFile.Read(path).Take(options.Limit))
        {
            if (maker.Make(row) is { } example) examples.Add(example);
        }
        if (examples.Count > 0) return new ExampleSet(examples, maker.Truncated, maker.Skipped);
        throw new LiftException(maker.Skipped > 0
            ? $"{path}: none of the {maker.Skipped} rows has a label left within --max-length {options.MaxLength}; raise it."
            : $"{path}: the data set is empty; a JSON array or one JSON object per line is expected.");
    }
}
