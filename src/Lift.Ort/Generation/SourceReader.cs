using System.Text.Json;
using Lift.Ort.Data;

namespace Lift.Ort.Generation;

/// <summary>Reads what an encoder-decoder shall write about: rows of a data file, or one text or file.</summary>
public sealed class SourceReader
{
    private readonly InputReader inputs;
    private readonly ModelInputs model;
    private readonly SequenceRows rows;

    /// <param name="tokenizer">Null for ready tokens, and for sources that are no text.</param>
    /// <exception cref="LiftException">The model has no encoder, or it was not found.</exception>
    public SourceReader(ExportedModel model, ITokenizer? tokenizer, DataOptions options)
    {
        model.CheckEncoder();
        this.model = new(model.RowInputs);
        inputs = new(tokenizer, this.model, options);
        rows = new(inputs, this.model, options);
        Begin = [options.DecoderStart ?? tokenizer?.PadId ?? 0];
    }

    /// <summary>The tokens that every text begins with: the decoder's start, else the padding id.</summary>
    public int[] Begin { get; }

    /// <summary>A text, or the name of a file where the model reads sounds, images or arrays.</summary>
    /// <exception cref="LiftException">The text is empty, or there is no such file.</exception>
    public Example Read(string source)
    {
        var row = new DataRow("the source", model.Tokens is null ? "file" : "text", 1, JsonSerializer.SerializeToElement(new Dictionary<string, string> { ["file"] = source }));
        return (model.Tokens is null ? inputs.Read(row) : inputs.Text(row, source)) with { Row = 1 };
    }

    /// <summary>A row's source, its target's tokens as labels.</summary>
    internal Example Read(DataRow row) => rows.Make(row);

    /// <summary>A row's target as text; null where it is ready tokens.</summary>
    internal string? Target(DataRow row) => rows.TargetText(row);
}
