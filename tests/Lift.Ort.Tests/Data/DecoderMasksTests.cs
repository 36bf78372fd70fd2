using Lift.Ort.Data;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Data;

/// <summary>Masks element by element; runs of whole decoders are in FixedCachesTests.</summary>
[TestClass]
public sealed class DecoderMasksTests
{
    private static readonly long[][] rows = [[1, 1, 1], [1, 1, 0]]; // one place of the past, two of the text; the second row ends in padding

    [TestMethod]
    [DataRow(ElementType.Float, 0f, -1e9f)]
    [DataRow(ElementType.Float16, 0f, -1e4f)]
    [DataRow(ElementType.Bool, 1f, 0f)]
    [DataRow(ElementType.Int64, 1f, 0f)]
    public void A_query_sees_the_past_and_itself_and_no_padding(ElementType type, float seen, float hidden)
    {
        Tensor mask = Make(new("causal_mask", new(type, new("batch", 2, "length", "all"))), 2);
        CollectionAssert.AreEqual(new long[] { 2, 2, 2, 3 }, mask.Dims, "as many heads as the file says");
        float y = seen, n = hidden;
        float[] first = [y, y, n, y, y, y], second = [y, y, n, y, y, n];
        float[] values = type == ElementType.Bool ? [.. mask.AsSpan<byte>().ToArray().Select(b => (float)b)] : type == ElementType.Int64 ? [.. mask.ToLongs().Select(l => (float)l)] : mask.ToFloats();
        for (int i = 0; i < values.Length; i++) Assert.AreEqual(new[] { first, first, second, second }.SelectMany(v => v).ElementAt(i), values[i], $"element {i}");
    }

    [TestMethod]
    public void Without_heads_there_are_three_axes() => CollectionAssert.AreEqual(new long[] { 2, 2, 3 }, Make(new("attn_mask", new(ElementType.Float, new("batch", "length", "all"))), 2).Dims);

    [TestMethod]
    public void A_fixed_length_is_filled_up_with_what_is_hidden()
    {
        GraphValue mask = new("attention_mask", new(ElementType.Int32, new("batch", 5)));
        CollectionAssert.AreEqual(new long[] { 1, 1, 1, 0, 0, 1, 1, 0, 0, 0 }, Make(mask, 2).ToLongs());
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Make(mask with { Type = new(ElementType.Int32, new("batch", 2)) }, 2)).Message, "A text of 3 tokens does not go into the model's 'attention_mask'");
    }

    [TestMethod]
    public void A_window_shows_the_latest_places_and_none_before_there_are_some()
    {
        GraphValue cache = new("past_key_values.0.key", new(ElementType.Float, new("batch", 1, 2, 4))) { Role = InputRole.Window };
        GraphValue mask = new("attention_mask", new(ElementType.Int64, new("batch", "all")));
        CollectionAssert.AreEqual(new long[] { 0, 1, 1 }, DecoderMasks.Make(mask, [mask, cache], [[1, 1]], 1).ToLongs(), "one place of the past in a window of two");
        CollectionAssert.AreEqual(new long[] { 1, 0, 1 }, DecoderMasks.Make(mask, [mask, cache], [[0, 1, 1, 0, 1]], 1).ToLongs(), "the latest two of four");
    }

    private static Tensor Make(GraphValue mask, int length) => DecoderMasks.Make(mask, [mask], rows, length);
}
