using Lift.Ort.Lowering.Decoders;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>What a decoder with a cache is given where the whole text is read at once: no past, and the branch that asks for none.</summary>
internal static class WithoutCache
{
    public static bool Knows(GraphValue input) => CacheEntry.IsPast(input) || EmptyCache.Choice(input) is not null || input.Name == "cache_position";

    /// <param name="all">All inputs of the model, which tell where the batch lies.</param>
    public static Tensor Value(GraphValue input, IReadOnlyList<GraphValue> all, int count, int length)
    {
        if (EmptyCache.Choice(input) is { } choice) return choice;
        if (input.Name == "cache_position") return Range(input, 0, length);
        CacheEntry entry = CacheEntry.Find(all, []).First(c => c.Past == input);
        Shape shape = input.Type.Shape ?? throw new LiftException($"The model's cache input '{input.Name}' has no shape; export the model again.");
        return Tensor.Empty(input.Name, input.Type.Element, [.. shape.Dims.Select((d, i) => i == entry.PastAxis ? 0 : d.Value ?? (i == entry.BatchAxis ? count : 0))]);
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
