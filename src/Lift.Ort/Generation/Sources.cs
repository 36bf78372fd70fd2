using Lift.Ort.Data;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Generation;

/// <summary>What an encoder-decoder writes about: for each source what the model reads beside the text that is being written. An encoder in a file of its own has run already.</summary>
internal sealed class Sources
{
    private readonly bool encoded, masked;
    private readonly Example[] rows;

    /// <param name="sources">Rows as <see cref="ExportedModel.RowInputs"/> say.</param>
    /// <param name="padId">Id that fills shorter sources.</param>
    /// <exception cref="LiftException">The encoder is missing, or cannot run on a source.</exception>
    public Sources(ExportedModel model, IReadOnlyList<Example> sources, int padId)
    {
        encoded = model.Encoder is not null;
        masked = model.Inputs.Any(i => i.Name == (encoded ? ModelInputs.EncoderMask : "attention_mask"));
        rows = model.Encoder is { } encoder ? Encode(encoder, [.. sources.Select(s => s.Loaded())], padId) : [.. sources.Select(s => s.Loaded())];
    }

    public int Count => rows.Length;

    /// <summary>Sources of different lengths may lie in one batch only where the model is told which places hold nothing; those of one number here always may.</summary>
    public long GroupOf(int source) => masked ? 0 : encoded ? LengthOf(source) : rows[source].Ids.Length;

    /// <summary>Places of an encoded source.</summary>
    public long LengthOf(int source) => rows[source].Values[SourceEncoder.States].Dims[0];

    /// <summary>A source with the text that is written about it.</summary>
    public Example With(int source, int[] text) => encoded
        ? rows[source] with { Ids = text, Labels = [] }
        : rows[source] with { Labels = [.. text.Skip(1), 0] }; // a decoder reads the labels one place later, behind the token that it begins with

    /// <summary>Whether an input of a decoder comes from the encoder.</summary>
    public bool Gives(string input) => encoded && (input == ModelInputs.EncoderMask || rows[0].Values.ContainsKey(input));

    /// <summary>What the decoder's <paramref name="input"/> holds for some sources, filled up with zeros to <paramref name="length"/> places.</summary>
    public Tensor Of(GraphValue input, IReadOnlyList<int> sources, long length)
    {
        if (input.Name == ModelInputs.EncoderMask)
        {
            Tensor mask = Tensor.Empty(input.Name, input.Type.Element, [sources.Count, length]);
            for (int i = 0; i < sources.Count; i++)
                for (int t = 0; t < LengthOf(sources[i]); t++) FieldReader.Set(mask, (int)((i * length) + t), 1);
            return mask;
        }
        Tensor first = rows[sources[0]].Values[input.Name];
        long[] dims = first.Dims.Length > 1 ? [sources.Count, length, .. first.Dims[1..]] : [sources.Count, .. first.Dims];
        Tensor all = Tensor.Empty(input.Name, first.Type, dims);
        int bytes = (int)(all.ByteLength / sources.Count);
        for (int i = 0; i < sources.Count; i++) rows[sources[i]].Values[input.Name].AsSpan<byte>().CopyTo(all.AsSpan<byte>().Slice(i * bytes, bytes));
        return all;
    }

    /// <summary>All sources through the encoder, together where it is told which places hold tokens.</summary>
    private static Example[] Encode(SourceEncoder encoder, Example[] sources, int padId)
    {
        bool together = encoder.Own.Any(i => i.Name == "attention_mask") || sources.All(s => Alike(s, sources[0]));
        int most = (int)BatchBuilder.FixedBatch(encoder.Own) is > 0 and var all ? all : together ? sources.Length : 1;
        var builder = new BatchBuilder(encoder.Own, new DataOptions { Batch = most }, padId);
        return [.. sources.Chunk(most).SelectMany(chunk => Split(encoder.Encode(builder.Build([.. chunk.Select(c => c with { Labels = [] })]).Values), chunk))];
    }

    private static bool Alike(Example a, Example b) => a.Ids.Length == b.Ids.Length && a.Values.All(v => b.Values.TryGetValue(v.Key, out Tensor? other) && other.Dims.SequenceEqual(v.Value.Dims));

    private static IEnumerable<Example> Split(Dictionary<string, Tensor> encoded, Example[] chunk)
    {
        float[]? mask = encoded.GetValueOrDefault(ModelInputs.EncoderMask)?.ToFloats();
        for (int b = 0; b < chunk.Length; b++)
        {
            long places = encoded[SourceEncoder.States].Dims[1];
            long length = mask is null ? places : mask.AsSpan((int)(b * places), (int)places).LastIndexOf(1) + 1;
            yield return chunk[b] with { Ids = [], Values = encoded.Where(e => e.Key != ModelInputs.EncoderMask).ToDictionary(e => e.Key, e => Row(e.Value, b, e.Value.Dims.Length > 2 && e.Value.Dims[1] == places ? length : null)) };
        }
    }

    /// <summary>One row of a batch, cut to <paramref name="length"/> places.</summary>
    private static Tensor Row(Tensor batch, int row, long? length)
    {
        long[] dims = length is { } n ? [n, .. batch.Dims[2..]] : batch.Dims[1..];
        Tensor result = Tensor.Empty(batch.Name, batch.Type, dims);
        batch.AsSpan<byte>().Slice((int)(row * (batch.ByteLength / batch.Dims[0])), (int)result.ByteLength).CopyTo(result.AsSpan<byte>());
        return result;
    }
}
