using Lift.Ort.Lowering.Decoders;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Lowering.Decoders;

/// <summary>Caches are known by the names and shapes that exporters give them.</summary>
[TestClass]
public sealed class CacheEntryTests
{
    private static readonly GraphValue ids = new("input_ids", new(ElementType.Int64, new("batch_size", "sequence_length")));

    [TestMethod]
    [DataRow("past_key_values.3.key", "present.3.key")] // Optimum, GenAI
    [DataRow("past_key_values.3.value", "present_key_values.3.value")]
    [DataRow("past_key_values.3.decoder.key", "present.3.decoder.key")]
    [DataRow("past_key_values.0.encoder.value", "present.0.encoder.value")]
    [DataRow("past_3", "present_3")] // ONNX Runtime's tools
    [DataRow("past_key_self_3", "present_key_self_3")]
    [DataRow("past_value_cross_0", "present_value_cross_0")]
    [DataRow("past_key_3", "present_key_3")]
    [DataRow("past_k_3", "present_k_3")]
    [DataRow("past_k.3", "new_k.3")]
    [DataRow("cache.3.key", "cache_out.3.key")] // Olive
    [DataRow("k_cache_3", "k_cache_out_3")]
    [DataRow("kv_cache.3", "new_kv_cache.3")]
    [DataRow("key_cache.3", "updated_key_cache.3")]
    [DataRow("past.3.k", "present.3.k")]
    [DataRow("pasts.3", "presents.3")]
    public void A_past_finds_its_present(string past, string present)
    {
        var shape = new Shape("batch_size", 4, "past_sequence_length", 8);
        GraphValue Value(string name) => new(name, new(ElementType.Float, shape));
        // another layer beside it, so that no entry is found by being the only one
        string other = past.Replace('3', '1').Replace('0', '2'), otherPresent = present.Replace('3', '1').Replace('0', '2');
        var found = CacheEntry.Find([ids, Value(other), Value(past)], [new("logits", new(ElementType.Float, new("batch_size", "sequence_length", 40))), Value(present), Value(otherPresent)]);
        Assert.HasCount(2, found);
        CacheEntry entry = found.Single(e => e.Past.Name == past);
        Assert.AreEqual(present, entry.Present);
        Assert.AreEqual((0, 2), (entry.BatchAxis, entry.PastAxis));
    }

    [TestMethod]
    public void Axes_are_found_by_their_names_or_by_convention()
    {
        (int, int) Axes(params Dim[] dims)
        {
            CacheEntry entry = CacheEntry.Find([ids, new("past_key_values.0.key", new(ElementType.Float, new Shape([.. dims])))], []).Single();
            return (entry.BatchAxis, entry.PastAxis);
        }
        Assert.AreEqual((0, 2), Axes("batch_size", 4, "past", 8));
        Assert.AreEqual((0, 1), Axes("batch_size", "past_sequence_length", 4, 8));
        Assert.AreEqual((0, 3), Axes("batch_size", 4, 8, "past_length"));
        Assert.AreEqual((1, 3), Axes(2, "batch_size", 4, "past_seq_len", 8));
        Assert.AreEqual((1, 0), Axes("past_sequence_length", "batch_size", 2, 16));
        Assert.AreEqual((0, 2), Axes("batch_size x num_heads", 8, "past_length"));
        Assert.AreEqual((0, 1), Axes("batch_size", "past_length", 16));
        Assert.AreEqual((0, 2), Axes("dynamic_0", 4, "dynamic_2", 8));
        Assert.AreEqual((0, 2), Axes(Dim.Unknown, Dim.Unknown, Dim.Unknown, Dim.Unknown));
        Assert.AreEqual((1, 3), Axes(2, Dim.Unknown, 4, Dim.Unknown, 8));
    }

    [TestMethod]
    public void Other_inputs_are_no_cache()
    {
        foreach (string name in new[] { "input_ids", "attention_mask", "position_ids", "use_cache_branch", "pixel_values", "encoder_hidden_states", "cached_features", "pastel" })
            Assert.IsFalse(CacheEntry.IsPast(new(name, new(ElementType.Float, name is "pixel_values" ? new Shape("batch", 3, "h", "w") : name is "encoder_hidden_states" or "cached_features" or "pastel" ? new Shape("batch", "s", 8) : new Shape("batch", "s")))), name);
    }

    [TestMethod]
    [DataRow(InputRole.None, 0)]
    [DataRow(InputRole.Measured, 0)]
    [DataRow(InputRole.Buffer, 64)]
    [DataRow(InputRole.Window, 64)]
    public void A_cache_of_fixed_length_begins_empty_where_it_may(object role, int length)
    {
        CacheEntry entry = CacheEntry.Find([ids, new("past_key_values.0.key", new(ElementType.Float, new Shape("batch_size", 4, 64, 8))) { Role = (InputRole)role }], []).Single();
        Assert.AreEqual((0, 2, (long?)length), (entry.BatchAxis, entry.PastAxis, entry.FirstLength));
    }

    /// <summary>What an input is shows in what reads it, behind casts and reshapes; otherwise in its name, where the model has a cache.</summary>
    [TestMethod]
    public void Lengths_and_places_are_known_by_their_readers_or_by_name()
    {
        GraphValue Number(string name, params Dim[] dims) => new(name, new(ElementType.Int32, new Shape([.. dims])));
        var graph = new Graph { Inputs = { ids, Number("a", "batch"), Number("b", 1) } };
        graph.Nodes.Add(new Node("Cast", "", ["b"], ["c"]).With("to", 7L));
        graph.Nodes.Add(new Node("GroupQueryAttention", "com.microsoft", ["q", "k", "v", "past_key_values.0.key", "", "a", "c"], ["y"]));
        var cache = new GraphValue("past_key_values.0.key", new(ElementType.Float, new Shape("batch_size", 4, 64, 8)));
        InputRole Role(string name, params Dim[] dims) => DecoderInputs.Marked(graph, [ids, Number(name, dims), cache])[1].Role;
        Assert.AreEqual((InputRole.LastIndex, InputRole.TotalLength), (Role("a", "batch"), Role("b", 1)));
        Assert.AreEqual(InputRole.Measured, DecoderInputs.Marked(graph, [ids, cache])[1].Role);
        foreach (string name in new[] { "past_seq_len", "past_sequence_length", "past_length", "past_key_values_length", "cache_length", "start_pos", "step", "write_indices" }) Assert.AreEqual(InputRole.PastLength, Role(name), name);
        foreach (string name in new[] { "total_sequence_length", "total_seq_len", "nonpad_kv_seqlen" }) Assert.AreEqual(InputRole.TotalLength, Role(name), name);
        foreach (string name in new[] { "current_sequence_length", "seq_len", "sequence_length" }) Assert.AreEqual(InputRole.NewLength, Role(name, 1), name);
        Assert.AreEqual((InputRole.LastIndex, InputRole.Places, InputRole.None), (Role("seqlens_k", "b"), Role("cache_position", "s"), Role("label", "b")));
        Assert.AreEqual(InputRole.None, DecoderInputs.Marked(new Graph(), [ids, Number("step")])[1].Role, "without a cache it is data");
    }

    [TestMethod]
    public void A_state_of_fixed_size_is_zeros_at_first()
    {
        CacheEntry entry = CacheEntry.Find([ids, new("past_conv.0", new(ElementType.Float, new Shape("batch_size", 16, 3)))], [new("present_conv.0", new(ElementType.Float, new Shape("batch_size", 16, 3)))]).Single();
        Assert.AreEqual((0, -1, "present_conv.0"), (entry.BatchAxis, entry.PastAxis, entry.Present));
    }
}
