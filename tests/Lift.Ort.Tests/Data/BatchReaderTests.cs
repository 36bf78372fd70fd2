using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Data;

[TestClass]
public sealed class BatchReaderTests
{
    internal static readonly GraphValue[] TextInputs =
    [
        new("input_ids", new(ElementType.Int64, new("batch", "sequence"))),
        new("attention_mask", new(ElementType.Int64, new("batch", "sequence"))),
        new("position_ids", new(ElementType.Int32, new("batch", "sequence"))),
        new("token_type_ids", new(ElementType.Int64, new("batch", "sequence"))),
        new("labels", new(ElementType.Int64, new("batch", "sequence"))),
    ];

    [TestMethod]
    public void Rows_are_padded_on_the_right_and_the_padding_is_masked_out()
    {
        var reader = new BatchReader([Text(1, 3, 1), Text(2, 1)], TextInputs, new() { Batch = 2, Shuffle = false }, padId: 9);
        var batch = reader.Next();

        CollectionAssert.AreEqual(new long[] { 10, 11, 12, 10, 9, 9 }, batch.Values["input_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { -100, 11, 12, 10, -100, -100 }, batch.Labels.ToLongs());
        CollectionAssert.AreEqual(new long[] { 1, 1, 1, 1, 0, 0 }, batch.Values["attention_mask"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 0, 1, 2, 0, 1, 2 }, batch.Values["position_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[6], batch.Values["token_type_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 2, 3 }, batch.Values["input_ids"].Dims);
        Assert.AreEqual(ElementType.Int32, batch.Values["position_ids"].Type);
        Assert.AreEqual((2, 4L, 2L), (batch.Examples, batch.Tokens, batch.LabelTokens), "the first label of a row is never scored by a causal model");
    }

    [TestMethod]
    public void Without_shuffling_batches_are_consecutive_rows()
    {
        var reader = new BatchReader(Texts(7), TextInputs, new() { Batch = 3, Shuffle = false });
        int[][] rows = [.. Enumerable.Range(0, 4).Select(_ => reader.Next().Rows.ToArray())];
        Assert.AreEqual("1 2 3|4 5 6|7|1 2 3", string.Join("|", rows.Select(r => string.Join(" ", r))));
    }

    [TestMethod]
    public void Every_epoch_holds_every_row_once_in_an_order_of_its_own()
    {
        var reader = new BatchReader(Texts(101), TextInputs, new() { Batch = 4, Seed = 5 });
        int[] first = [.. reader.Epoch(0).SelectMany(b => b.Rows)], second = [.. reader.Epoch(1).SelectMany(b => b.Rows)];
        CollectionAssert.AreEqual(Enumerable.Range(1, 101).ToArray(), first.Order().ToArray());
        CollectionAssert.AreEqual(Enumerable.Range(1, 101).ToArray(), second.Order().ToArray());
        CollectionAssert.AreNotEqual(first, second);
        CollectionAssert.AreNotEqual(first, new BatchReader(Texts(101), TextInputs, new() { Batch = 4, Seed = 6 }).Epoch(0).SelectMany(b => b.Rows).ToArray());
    }

    [TestMethod]
    public void Shuffled_batches_hold_rows_of_like_length()
    {
        var reader = new BatchReader(Texts(400), TextInputs, new() { Batch = 8 });
        long padded = reader.Epoch().Sum(b => b.Values["input_ids"].Count), tokens = reader.Epoch().Sum(b => b.Tokens);
        Assert.IsTrue(padded < 1.1 * tokens, $"{padded} places for {tokens} tokens");
    }

    [TestMethod]
    public void A_reader_set_to_a_position_goes_on_where_the_other_stopped()
    {
        var whole = new BatchReader(Texts(23), TextInputs, new() { Batch = 4, Seed = 1 });
        for (int i = 0; i < 8; i++) whole.Next();
        var resumed = new BatchReader(Texts(23), TextInputs, new() { Batch = 4, Seed = 1 }) { Position = whole.Position };
        Assert.AreEqual(new BatchPosition(1, 2), whole.Position);
        for (int i = 0; i < 9; i++) CollectionAssert.AreEqual(whole.Next().Rows.ToArray(), resumed.Next().Rows.ToArray());
    }

    [TestMethod]
    public void The_order_of_a_seed_never_changes()
    {
        var random = new SeededRandom(42, 3);
        int[] values = [.. Enumerable.Range(0, 10)];
        random.Shuffle<int>(values);
        Assert.AreEqual("8 3 0 9 7 6 1 4 5 2", string.Join(" ", values));
        Assert.IsTrue(Enumerable.Range(0, 1000).All(_ => random.NextDouble() is >= 0 and < 1 && random.Next(7) is >= 0 and < 7));
    }

    [TestMethod]
    public void A_model_of_fixed_shape_gets_filled_up_batches()
    {
        GraphValue[] inputs = [new("input_ids", new(ElementType.Int32, new(2, 5)))];
        var reader = new BatchReader([Text(1, 3)], inputs, new() { Batch = 2 });
        var batch = reader.Next();
        CollectionAssert.AreEqual(new long[] { 10, 11, 12, 0, 0, 0, 0, 0, 0, 0 }, batch.Values["input_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 10, 11, 12, -100, -100, -100, -100, -100, -100, -100 }, batch.Labels.ToLongs());
        Assert.AreEqual(1, batch.Examples);

        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new BatchReader(Texts(3), inputs, new() { Batch = 3 }).Next()).Message, "--batch 2");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new BatchReader([Text(4, 6)], inputs, new() { Batch = 2 }).Next()).Message, "--max-length 5");
    }

    [TestMethod]
    public void Rows_that_only_fill_a_batch_are_scored_by_no_loss()
    {
        GraphValue[] inputs = [new("input_ids", new(ElementType.Int64, new(3, "length"))), new("labels", new(ElementType.Float, new(3, 1)))];
        Example[] rows = [Text(1, 2) with { Labels = [], Values = new Dictionary<string, Tensor> { ["labels"] = Tensor.From<float>("labels", [1], 1) } }];
        DataOptions numbers = new() { Batch = 3, Kind = LabelKind.Values, Shifted = false };
        CollectionAssert.AreEqual(new float[] { 1, -100, -100 }, new BatchReader(rows, inputs, numbers with { LabelsMayBeEmpty = true }).Next().Labels.ToFloats(), "bce leaves -100 out");
        const string divide = "use --batch 3 and a number of rows that it divides";
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new BatchReader(rows, inputs, numbers).Next()).Message, divide, "mse would score zeros");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new BatchReader([Text(1, 2)], inputs[..1], new() { Batch = 3, Kind = LabelKind.None }).Next()).Message, divide, "every row is compared");
        DataOptions both = new() { Batch = 3, Several = [new("labels", null, "y", LabelKind.Values)] };
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new BatchReader(rows, inputs, both).Next()).Message, divide);
    }

    [TestMethod]
    [DataRow(ElementType.Bool)]
    [DataRow(ElementType.Float)]
    [DataRow(ElementType.Float16)]
    [DataRow(ElementType.Int32)]
    [DataRow(ElementType.Undefined)]
    public void A_mask_has_the_type_that_the_model_reads(ElementType type)
    {
        GraphValue[] inputs = [TextInputs[0], new("attention_mask", new(type, new("batch", "sequence"))), TextInputs[^1]];
        Tensor mask = new BatchReader([Text(1, 3), Text(2, 1)], inputs, new() { Batch = 2, Shuffle = false }).Next().Values["attention_mask"];
        Assert.AreEqual(type == ElementType.Undefined ? ElementType.Int64 : type, mask.Type);
        int bytes = mask.Type.Bits() / 8;
        Assert.AreEqual("111100", string.Concat(Enumerable.Range(0, 6).Select(i => mask.AsSpan<byte>().Slice(i * bytes, bytes).IndexOfAnyExcept((byte)0) >= 0 ? 1 : 0)));
    }

    [TestMethod]
    public void A_batch_may_be_larger_than_the_data() =>
        CollectionAssert.AreEqual(new[] { 1, 2, 3 }, new BatchReader(Texts(3), TextInputs, new() { Batch = int.MaxValue }).Next().Rows.Order().ToArray());

    [TestMethod]
    public void Past_inputs_are_empty_and_other_inputs_must_be_given()
    {
        GraphValue[] inputs = [.. TextInputs, new("past_key_values.0.key", new(ElementType.Float, new("batch", 4, "past", 16)))];
        CollectionAssert.AreEqual(new long[] { 1, 4, 0, 16 }, new BatchReader([Text(1, 3)], inputs, new()).Next().Values["past_key_values.0.key"].Dims);

        GraphValue[] strange = [.. TextInputs, new("pixels", new(ElementType.Float, new("batch", 4)))];
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new BatchReader([Text(7, 3)], strange, new()).Next()).Message, "'pixels'");
    }

    [TestMethod]
    public void Values_of_different_length_are_padded_and_of_wrong_shape_refused()
    {
        GraphValue[] inputs = [new("x", new(ElementType.Float, new("batch", "h", "w")))];
        var batch = new BatchReader([Values(1, [1, 2], 1, 2), Values(2, [3, 4, 5, 6], 2, 2), Values(3, [7, 8, 9], 1, 3)], inputs, new() { Shuffle = false }).Next();
        CollectionAssert.AreEqual(new long[] { 3, 2, 3 }, batch.Values["x"].Dims);
        CollectionAssert.AreEqual(new float[] { 1, 2, 0, 0, 0, 0, 3, 4, 0, 5, 6, 0, 7, 8, 9, 0, 0, 0 }, batch.Values["x"].ToFloats());
        CollectionAssert.AreEqual(new long[] { 1, 2, 3 }, batch.Labels.ToLongs());
        Assert.AreEqual((3, 3L, 3L), (batch.Examples, batch.Tokens, batch.LabelTokens));

        GraphValue[] narrow = [new("x", new(ElementType.Float, new("batch", 2, 2)))];
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new BatchReader([Values(5, [1, 2], 1, 2)], narrow, new()).Next()).Message, "Row 5: field 'x' has shape [1, 2]");
    }

    [TestMethod]
    public void Wrong_sizes_are_one_sentence()
    {
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new BatchReader([], TextInputs, new())).Message, "empty");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new BatchReader(Texts(1), TextInputs, new() { Batch = 0 })).Message, "--batch");
    }

    internal static Example Text(int row, int length, int masked = 0)
    {
        int[] ids = [.. Enumerable.Range(10, length)];
        return new(row, ids, [.. ids.Select((id, t) => t < masked ? Example.Ignored : id)], Example.NoValues);
    }

    private static Example[] Texts(int count) => [.. Enumerable.Range(1, count).Select(i => Text(i, 1 + i * 37 % 90))];

    private static Example Values(int row, float[] x, params long[] dims) =>
        new(row, [], [], new Dictionary<string, Tensor> { ["x"] = Tensor.From<float>("x", x, dims), ["labels"] = Tensor.Scalar<long>("labels", row) });
}
