using Lift.Ort.Lowering.Decoders;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>What a decoder with a cache is given where the whole text is read at once: no past, and the branch that asks for none.</summary>
internal static class WithoutCache
{
    public static bool Knows(GraphValue input) => CacheEntry.IsPast(input) || EmptyCache.Choice(input) is not null || DecoderInputs.IsCounting(input) || input.Name == "cache_position";

    /// <param name="all">All inputs of the model, which tell where the batch lies.</param>
    /// <param name="lengths">Tokens of each row.</param>
    public static Tensor Value(GraphValue input, IReadOnlyList<GraphValue> all, IReadOnlyList<int> lengths, int length)
    {
        if (EmptyCache.Choice(input) is { } choice) return choice;
        if (input.Name == "cache_position" || DecoderInputs.IsCounting(input)) return Count(input, 0, length, [.. lengths.Select(l => (long)l)]);
        CacheEntry entry = CacheEntry.Find(all, []).First(c => c.Past == input);
        Shape shape = input.Type.Shape ?? throw new LiftException($"The model's cache input '{input.Name}' has no shape; export the model again.");
        if (input.Role == InputRole.Buffer && entry.FirstLength is { } room && length > room)
            throw new LiftException($"A text of {length} tokens does not go into the model's cache '{input.Name}' {input.Type}; use --max-length {room}.");
        return Tensor.Empty(input.Name, input.Type.Element, [.. shape.Dims.Select((d, i) => i == entry.PastAxis ? (d.Value is { } all ? all : entry.IsWhole ? length : 0) : d.Value ?? (i == entry.BatchAxis ? lengths.Count : 0))]);
    }

    /// <summary>An input that tells lengths or places.</summary>
    /// <param name="past">Places of the cache that are taken, the same in each row.</param>
    /// <param name="length">Tokens that are read now.</param>
    /// <param name="counted">Tokens of each row, padding left out: those of the past, and those read now.</param>
    public static Tensor Count(GraphValue input, int past, int length, IReadOnlyList<long> counted)
    {
        if (input.Role is InputRole.Places or InputRole.None) return Range(input, past, length);
        bool perRow = input.Type.Rank is 1 or 2 && input.Type.Shape![0].Value != 1;
        long[] values = input.Role switch
        {
            InputRole.PastLength => perRow ? [.. counted.Select(c => past == 0 ? 0 : c - length)] : [past],
            InputRole.TotalLength => perRow ? [.. counted] : [past + length],
            InputRole.LastIndex => perRow ? [.. counted.Select(c => c - 1)] : [counted.Max() - 1],
            _ => perRow ? [.. counted.Select(_ => (long)length)] : [length],
        };
        long[] dims = input.Type.Rank switch { 0 => [], 1 => [values.Length], _ => [values.Length, 1] };
        return input.Type.Element == ElementType.Int32 ? Tensor.From<int>(input.Name, Array.ConvertAll(values, v => (int)v), dims) : Tensor.From<long>(input.Name, values, dims);
    }

    /// <summary>Places of tokens in the text: <paramref name="first"/> and those after it, in the shape [length] or [1, length].</summary>
    public static Tensor Range(GraphValue input, int first, int length)
    {
        long[] dims = input.Type.Rank == 2 ? [1, length] : [length];
        return input.Type.Element == ElementType.Int32
            ? Tensor.From<int>(input.Name, [.. Enumerable.Range(first, length)], dims)
            : Tensor.From<long>(input.Name, [.. Enumerable.Range(first, length).Select(i => (long)i)], dims);
    }
}
