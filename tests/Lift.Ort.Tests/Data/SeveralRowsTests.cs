using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Data;

/// <summary>Rows for models that read several texts or images apart, and rows with several labels: what each becomes in a batch.</summary>
[TestClass]
public sealed class SeveralRowsTests
{
    private static readonly GraphValue[] towers = [Whole("query_input_ids"), Whole("query_attention_mask"), Whole("doc_input_ids", 3), Whole("doc_attention_mask", 3), Whole("doc_token_type_ids", 3)];
    private static readonly DataOptions compared = new() { Kind = LabelKind.None, Shifted = false };

    [TestMethod]
    [DataRow("""{"query":"ab","doc":"c"}""")]
    [DataRow("""{"query_text":"ab","text_doc":"c"}""")]
    [DataRow("""{"query":"ab","positive":"c"}""")]
    [DataRow("""{"anchor":"ab","positive":"c"}""")]
    [DataRow("""{"query_input_ids":[256,97,98,257],"doc_input_ids":[256,99,257]}""")]
    public void Two_texts_fill_two_towers(string row)
    {
        Batch batch = Read(row, towers, compared);
        CollectionAssert.AreEqual(new long[] { 256, 97, 98, 257 }, batch.Values["query_input_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 1, 1, 1, 1 }, batch.Values["query_attention_mask"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 256, 99, 257 }, batch.Values["doc_input_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 1, 1, 1 }, batch.Values["doc_attention_mask"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 0, 0, 0 }, batch.Values["doc_token_type_ids"].ToLongs());
    }

    [TestMethod]
    public void Rows_are_filled_up_tower_by_tower_and_to_fixed_lengths()
    {
        GraphValue[] inputs = [Whole("input_ids_1"), Whole("attention_mask_1"), Whole("input_ids_2", length: 5), Whole("attention_mask_2", length: 5)];
        Batch batch = Read("""
            {"sentence1":"a","sentence2":"b"}
            {"sentence1":"aaa","sentence2":"bb"}
            """, inputs, compared);
        CollectionAssert.AreEqual(new long[] { 256, 97, 257, 258, 258, 256, 97, 97, 97, 257 }, batch.Values["input_ids_1"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 1, 1, 1, 0, 0, 1, 1, 1, 1, 1 }, batch.Values["attention_mask_1"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 256, 98, 257, 258, 258, 256, 98, 98, 257, 258 }, batch.Values["input_ids_2"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 1, 1, 1, 0, 0, 1, 1, 1, 1, 0 }, batch.Values["attention_mask_2"].ToLongs());
        Refused("""{"sentence1":"a","sentence2":"bbbbbb"}""", inputs, compared, "fixed at 5; use --max-length 5");
    }

    [TestMethod]
    public void Fields_can_be_named_for_inputs()
    {
        var named = compared with { InputFields = new Dictionary<string, string> { ["query_input_ids"] = "left", ["doc_input_ids"] = "right" } };
        CollectionAssert.AreEqual(new long[] { 256, 120, 257 }, Read("""{"left":"x","right":"y"}""", towers, named).Values["query_input_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 256, 121, 257 }, Read("""{"left":"x","right":"y"}""", towers, compared with { TextField = "left,right" }).Values["doc_input_ids"].ToLongs());
        Refused("""{"left":"x"}""", towers, named, "no field 'right'");
        Refused("""{"some":"x","other":"y"}""", towers, compared, "--inputs query_input_ids=FIELD");
        Refused("""{"query":"x","doc":" "}""", towers, compared, "the text in field 'doc' is empty");
    }

    [TestMethod]
    public void Arrays_of_several_inputs_are_found_by_the_rest_of_their_names()
    {
        GraphValue[] inputs = [new("anchor_pixel_values", new(ElementType.Float, new("batch", 1, 1, 2))), new("positive_pixel_values", new(ElementType.Float, new("batch", 1, 1, 2)))];
        Batch batch = Read("""{"anchor":[[[1,2]]],"image_positive":[[[3,4]]]}""", inputs, compared);
        CollectionAssert.AreEqual(new float[] { 3, 4 }, batch.Values["positive_pixel_values"].ToFloats());
        Refused("""{"anchor":[[[1,2]]],"other":[[[3,4]]]}""", inputs, compared, "no field 'positive_pixel_values'");
        Refused("""{"anchor":"a.png","positive":[[[3,4]]]}""", inputs, compared, "there is no '");
    }

    [TestMethod]
    public void A_row_has_a_label_for_each_loss()
    {
        GraphValue[] inputs = [Whole("input_ids"), Whole("attention_mask"), new("labels_slots", new(ElementType.Int64, new("batch", "sequence"))), new("labels_intent", new(ElementType.Int64, new("batch"))), new("labels_score", new(ElementType.Float, new("batch", 1)))];
        DataOptions options = new()
        {
            Shifted = false,
            Several = [new("labels_slots", "ner_tags", "slot_logits", LabelKind.Classes) { Classes = 3 }, new("labels_intent", null, "intent_logits", LabelKind.Classes) { Classes = 2 }, new("labels_score", null, "score", LabelKind.Values)],
        };
        var fitted = Fit("""
            {"tokens":["a","b"],"ner_tags":["X","O"],"intent":"go","score":0.5}
            {"tokens":["c"],"ner_tags":["O"],"intent":"ask","score":2}
            """, inputs, options, out Batch batch);
        CollectionAssert.AreEqual(new[] { "O", "X" }, fitted.Several[0].ClassNames!.ToArray());
        CollectionAssert.AreEqual(new long[] { -100, 1, 0, -100, -100, -100, 0, -100, -100, -100 }, batch.Values["labels_slots"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 1, 0 }, batch.Values["labels_intent"].ToLongs());
        CollectionAssert.AreEqual(new float[] { 0.5f, 2 }, batch.Values["labels_score"].ToFloats());
        Assert.AreEqual(2, batch.LabelTokens);

        Batch ready = Read("""{"input_ids":[1,2,3],"ner_tags":[0,-100,2],"intent":1,"score":1}""", inputs, options);
        CollectionAssert.AreEqual(new long[] { 0, -100, 2 }, ready.Values["labels_slots"].ToLongs());
        Refused("""{"input_ids":[1,2,3],"ner_tags":[0,-100],"intent":1,"score":1}""", inputs, options, "field 'ner_tags' has 2 entries and 'input_ids' has 3");
        Refused("""{"input_ids":[1,2],"ner_tags":[0,9],"intent":1,"score":1}""", inputs, options, "label 9 in field 'ner_tags' is out of range");
        Refused("""{"input_ids":[1,2],"ner_tags":[0,1],"intent":5,"score":1}""", inputs, options, "label 5 in field 'intent' is out of range");
        Assert.Contains("both read a label per token", Assert.ThrowsExactly<LiftException>(() => Read("""{"text":"a","ner_tags":[0]}""", inputs, options with { Several = [options.Several[0], options.Several[0]] })).Message);
    }

    [TestMethod]
    public void A_text_is_its_own_label_beside_a_number()
    {
        GraphValue[] inputs = [Whole("input_ids"), Whole("attention_mask"), new("labels_logits", new(ElementType.Int64, new("batch", "sequence"))), new("labels_value", new(ElementType.Float, new("batch", 1)))];
        Batch batch = Read("""{"prompt":"a","completion":"b","value":3}""", inputs, new()
        {
            Shifted = true,
            Several = [new("labels_logits", null, "logits", LabelKind.NextTokens), new("labels_value", null, "value", LabelKind.Values)],
        });
        CollectionAssert.AreEqual(new long[] { 256, 97, 98, 257 }, batch.Values["input_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { -100, -100, 98, 257 }, batch.Values["labels_logits"].ToLongs());
        CollectionAssert.AreEqual(new float[] { 3 }, batch.Values["labels_value"].ToFloats());

        GraphValue[] twoTexts = [Whole("input_ids"), new("decoder_input_ids", new(ElementType.Int64, new("batch", "target"))), new("labels_logits", new(ElementType.Int64, new("batch", "target"))), new("labels_kind", new(ElementType.Int64, new("batch")))];
        batch = Read("""{"source":"a","target":"b","kind":1}""", twoTexts, new() { Shifted = false, Several = [new("labels_logits", null, "logits", LabelKind.Sequence), new("labels_kind", null, "kind", LabelKind.Classes) { Classes = 2 }] });
        CollectionAssert.AreEqual(new long[] { 256, 98, 257 }, batch.Values["labels_logits"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 258, 256, 98 }, batch.Values["decoder_input_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 1 }, batch.Values["labels_kind"].ToLongs());
    }

    [TestMethod]
    public void An_empty_label_is_not_counted_where_the_loss_can_leave_it_out()
    {
        GraphValue[] inputs = [new("x", new(ElementType.Float, new("batch", 1))), new("labels_kind", new(ElementType.Int64, new("batch"))), new("labels_tags", new(ElementType.Float, new("batch", 2))), new("labels_price", new(ElementType.Float, new("batch", 1)))];
        DataOptions options = new()
        {
            Shifted = false,
            Several = [new("labels_kind", null, "kind", LabelKind.Classes) { Classes = 2, MayBeEmpty = true }, new("labels_tags", null, "tags", LabelKind.Values) { Range = [0, 1], MayBeEmpty = true }, new("labels_price", null, "price", LabelKind.Values)],
        };
        Batch batch = Read("""
            {"x":[1],"kind":null,"tags":[0,1],"price":1}
            {"x":[2],"kind":1,"tags":null,"price":2}
            """, inputs, options);
        CollectionAssert.AreEqual(new long[] { -100, 1 }, batch.Values["labels_kind"].ToLongs());
        CollectionAssert.AreEqual(new float[] { 0, 1, -100, -100 }, batch.Values["labels_tags"].ToFloats());
        Refused("""{"x":[1],"kind":0,"tags":[0,1],"price":null}""", inputs, options, "price");
    }

    [TestMethod]
    public void Labels_are_no_features()
    {
        GraphValue[] inputs = [new("x", new(ElementType.Float, new("batch", 2))), new("labels_kind", new(ElementType.Int64, new("batch"))), new("labels_price", new(ElementType.Float, new("batch", 1)))];
        DataOptions options = new() { Shifted = false, Several = [new("labels_kind", null, "logits_kind", LabelKind.Classes) { Classes = 2 }, new("labels_price", "cost", "price", LabelKind.Values)], Table = new() { Standardize = true } };
        DataOptions fitted = Fit("""
            {"width":1,"kind":1,"cost":10,"height":3}
            {"width":3,"kind":0,"cost":20,"height":3}
            """, inputs, options, out Batch batch);
        CollectionAssert.AreEqual(new float[] { -1, 0, 1, 0 }, batch.Values["x"].ToFloats());
        CollectionAssert.AreEqual(new[] { "width", "height" }, fitted.Table.Features!.ToArray());

        GraphValue[] wide = [inputs[0], inputs[1], new("labels_price", new(ElementType.Float, new("batch", 2)))];
        const string row = """{"width":1,"kind":1,"cost":10,"tax":2,"height":3}""";
        LabelColumn both = new("labels_price", "cost, tax", "price", LabelKind.Values);
        CollectionAssert.AreEqual(new float[] { 10, 2 }, Read(row, wide, new() { Shifted = false, Several = [options.Several[0], both] }).Values["labels_price"].ToFloats());
        Refused(row, wide, new() { Shifted = false, Several = [options.Several[0], both with { Field = "cost,fee" }] }, "no field 'fee'");
    }

    [TestMethod]
    public void A_word_for_yes_or_no_is_one_number()
    {
        GraphValue[] inputs = [new("x", new(ElementType.Float, new("batch", 1))), new("labels", new(ElementType.Float, new("batch", 1)))];
        Fit("""
            {"x":[1],"label":"yes"}
            {"x":[2],"label":"no"}
            """, inputs, new() { Kind = LabelKind.Values, LabelRange = [0, 1], Shifted = false }, out Batch batch);
        CollectionAssert.AreEqual(new float[] { 1, 0 }, batch.Labels.ToFloats());
        Refused("""{"x":[1],"label":"much"}""", inputs, new() { Kind = LabelKind.Values, Shifted = false }, "where a number is expected");
    }

    [TestMethod]
    public void Lengths_and_written_lines_of_several_widths_make_a_batch()
    {
        GraphValue[] inputs = [new("image", new(ElementType.Float, new("batch", 1, 1, "width"))), new("frames", new(ElementType.Int64, new("batch"))), new("labels", new(ElementType.Int64, new("batch", "length")))];
        Batch batch = Read("""
            {"image":[[[1,2,3]]],"frames":3,"labels":[1,2]}
            {"image":[[[4]]],"frames":1,"labels":[3]}
            """, inputs, new() { Kind = LabelKind.Sequence, Shifted = false });
        CollectionAssert.AreEqual(new float[] { 1, 2, 3, 4, 0, 0 }, batch.Values["image"].ToFloats());
        CollectionAssert.AreEqual(new long[] { 3, 1 }, batch.Values["frames"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 1, 2, 3, -100 }, batch.Labels.ToLongs());
        Refused("""{"image":[[[1,2,3]]],"labels":[1,2]}""", inputs, new() { Kind = LabelKind.Sequence, Shifted = false }, "no field 'frames'");
    }

    private static GraphValue Whole(string name, int tower = 0, long length = 0) => new(name, new(ElementType.Int64, new("batch", length > 0 ? length : $"sequence{tower}")));

    private static void Refused(string row, GraphValue[] inputs, DataOptions options, string said)
    {
        var error = Assert.ThrowsExactly<LiftException>(() => Read(row, inputs, options));
        Assert.Contains(said, error.Message);
        Assert.IsTrue(error.Message.Contains("line 1") || error.Message.Contains("Row 1"), error.Message);
    }

    private static Batch Read(string rows, GraphValue[] inputs, DataOptions options)
    {
        Fit(rows, inputs, options, out Batch batch);
        return batch;
    }

    private static DataOptions Fit(string rows, GraphValue[] inputs, DataOptions options, out Batch batch)
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["rows.jsonl"], rows);
        options = DataFit.Of(temp["rows.jsonl"], inputs, options, ModelNotes.Beside(null)) with { Shuffle = false };
        batch = BatchReader.Open(temp["rows.jsonl"], new ByteTokenizer(), inputs, options).Next();
        return options;
    }
}
