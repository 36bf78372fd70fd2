using Lift.Ort.Lowering.Decoders;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Masks over past and text, in the forms that decoders read: a 1 for each place that holds a token, or for each query what it may look at.</summary>
internal static class DecoderMasks
{
    private static readonly HashSet<string> names = ["attention_mask", "attn_mask", "causal_mask", "attention_bias", "mask"];

    /// <summary>True for a mask of queries over keys: [batch, (heads,) text, all].</summary>
    public static bool IsOfQueries(GraphValue input) => input.Type.Rank is 3 or 4 && names.Contains(input.Name);

    /// <summary>True for a mask that follows from the tokens.</summary>
    public static bool Is(GraphValue input) => input is { Name: "attention_mask", Type.Rank: null or 2 } || IsOfQueries(input);

    /// <param name="all">All inputs of the model: a cache of fixed length has masks of its length.</param>
    /// <param name="rows">For each row the places of the past, then those of the text: 1 where there is a token.</param>
    /// <param name="length">Tokens of the text, padding included.</param>
    /// <exception cref="LiftException">The text does not go into the cache.</exception>
    public static Tensor Make(GraphValue input, IReadOnlyList<GraphValue> all, IReadOnlyList<long[]> rows, int length)
    {
        long? window = all.Where(i => i.Role == InputRole.Window).Select(LengthOf).FirstOrDefault();
        if (window is { } size) rows = [.. rows.Select(r => (long[])[.. new long[Math.Max(0, size - (r.Length - length))], .. r[..^length].TakeLast((int)size), .. r[^length..]])];
        int filled = rows[0].Length;
        long keys = input.Type.Shape?[-1].Value ?? (window is null && IsOfQueries(input) ? all.Where(i => i.Role == InputRole.Buffer).Select(LengthOf).FirstOrDefault() : null) ?? filled;
        if (filled > keys) throw new LiftException($"A text of {filled} tokens does not go into the model's '{input.Name}' {input.Type}; use --max-length {keys}.");
        if (!IsOfQueries(input))
        {
            Tensor mask = Tensor.Empty(input.Name, input.Type.Element is ElementType.Undefined ? ElementType.Int64 : input.Type.Element, [rows.Count, keys]);
            for (int b = 0; b < rows.Count; b++)
                for (int k = 0; k < filled; k++) if (rows[b][k] != 0) FieldReader.Set(mask, (int)((b * keys) + k), 1);
            return mask;
        }
        long[] dims = input.Type.Rank == 4 ? [rows.Count, input.Type.Shape![1].Value ?? 1, length, keys] : [rows.Count, length, keys];
        Tensor causal = Tensor.Empty(input.Name, input.Type.Element, dims);
        (double seen, double hidden) = input.Type.Element.IsFloat() ? (0, input.Type.Element == ElementType.Float16 ? -1e4 : -1e9) : (1.0, 0.0);
        long heads = dims.Length == 4 ? dims[1] : 1, at = 0;
        for (int b = 0; b < rows.Count; b++)
            for (long h = 0; h < heads; h++)
                for (int t = 0; t < length; t++)
                    for (int k = 0; k < keys; k++) FieldReader.Set(causal, (int)at++, k < filled && rows[b][k] != 0 && k <= filled - length + t ? seen : hidden);
        return causal;
    }

    /// <summary>The length of a cache of fixed length.</summary>
    private static long? LengthOf(GraphValue cache) => CacheEntry.Find([cache], [])[0].FirstLength;
}
