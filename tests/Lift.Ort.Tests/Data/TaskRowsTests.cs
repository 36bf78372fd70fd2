using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Data;

/// <summary>Rows for tasks beyond language models: what each becomes in a batch.</summary>
[TestClass]
public sealed class TaskRowsTests
{
    private static readonly GraphValue ids = Whole("input_ids"), mask = Whole("attention_mask"), segments = Whole("token_type_ids");
    private static readonly GraphValue classOfRow = new("labels", new(ElementType.Int64, new Shape("batch")));

    [TestMethod]
    public void Names_of_classes_become_numbers_in_sorted_order()
    {
        var (batch, options) = Read("""
            {"text":"a","label":"good"}
            {"text":"b","label":"bad"}
            {"text":"c","label":"good"}
            """, [ids, mask, classOfRow], new() { Kind = LabelKind.Classes, Shifted = false, Classes = 2 });
        CollectionAssert.AreEqual(new[] { "bad", "good" }, options.ClassNames!.ToArray());
        CollectionAssert.AreEqual(new long[] { 1, 0, 1 }, batch.Labels.ToLongs());
        CollectionAssert.AreEqual(new long[] { 256, 97, 257, 256, 98, 257, 256, 99, 257 }, batch.Values["input_ids"].ToLongs());
    }

    [TestMethod]
    public void Several_classes_of_a_row_become_ones()
    {
        var (batch, _) = Read("""
            {"text":"a","label":["x","z"]}
            {"text":"bbbbbb","label":["y"]}
            """, [ids, new("labels", new(ElementType.Float, new("batch", 3)))], new() { Kind = LabelKind.Values, Shifted = false });
        CollectionAssert.AreEqual(new float[] { 1, 0, 1, 0, 1, 0 }, batch.Labels.ToFloats());
    }

    [TestMethod]
    public void Two_texts_are_read_together_with_their_segments()
    {
        var (batch, _) = Read("""{"sentence1":"ab","sentence2":"c","label":1}""", [ids, mask, segments, classOfRow], new() { Kind = LabelKind.Classes, Shifted = false, Classes = 2 });
        CollectionAssert.AreEqual(new long[] { 256, 97, 98, 257, 99, 257 }, batch.Values["input_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 0, 0, 0, 0, 1, 1 }, batch.Values["token_type_ids"].ToLongs());
    }

    [TestMethod]
    public void The_longer_of_two_texts_is_cut()
    {
        var (batch, _) = Read("""{"premise":"abcdefgh","hypothesis":"ij","label":1}""", [ids, segments, classOfRow], new() { Kind = LabelKind.Classes, Shifted = false, MaxLength = 9 });
        CollectionAssert.AreEqual(new long[] { 256, 97, 98, 99, 100, 257, 105, 106, 257 }, batch.Values["input_ids"].ToLongs());
    }

    [TestMethod]
    public void A_word_s_label_stands_on_its_first_piece()
    {
        var (batch, options) = Read("""
            {"tokens":["Al","is"],"ner_tags":["B-PER","O"]}
            {"tokens":["x"],"ner_tags":["O"]}
            """, [ids, mask, Whole("labels")], new() { Kind = LabelKind.Classes, Shifted = false, Classes = 2 });
        CollectionAssert.AreEqual(new[] { "B-PER", "O" }, options.ClassNames!.ToArray());
        CollectionAssert.AreEqual(new long[] { 256, 65, 108, 32, 105, 115, 257, 256, 120, 257, 0, 0, 0, 0 }, Unpadded(batch.Values["input_ids"], 258));
        CollectionAssert.AreEqual(new long[] { -100, 0, -100, 1, -100, -100, -100, -100, 1, -100, -100, -100, -100, -100 }, batch.Labels.ToLongs());
        Assert.AreEqual(3, batch.LabelTokens);
    }

    [TestMethod]
    public void Anchor_and_positive_are_neighbours_in_the_batch()
    {
        var (batch, _) = Read("""
            {"anchor":"a","positive":"bb"}
            {"query":"c","positive":"d"}
            """, [ids, mask], new() { Kind = LabelKind.None, Group = 2, Shifted = false });
        CollectionAssert.AreEqual(new long[] { 4, 4 }, batch.Values["input_ids"].Dims);
        CollectionAssert.AreEqual(new long[] { 256, 97, 257, 256, 98, 98, 257, 256, 99, 257, 256, 100, 257 }, batch.Values["input_ids"].ToLongs().Where(i => i != 258).ToArray());
        Assert.AreEqual((2, 2L, false), (batch.Examples, batch.LabelTokens, batch.Values.ContainsKey("labels")));
    }

    [TestMethod]
    public void Pairs_with_a_score_have_one_label_for_two_rows()
    {
        var (batch, _) = Read("""
            {"sentence1":"a","sentence2":"b","score":0.25}
            {"sentence1":"c","sentence2":"d","score":1}
            """, [ids, mask, new("labels", new(ElementType.Float, new Shape("pairs")))], new() { Kind = LabelKind.PairScores, Group = 2, Shifted = false });
        CollectionAssert.AreEqual(new long[] { 4, 3 }, batch.Values["input_ids"].Dims);
        CollectionAssert.AreEqual(new[] { 0.25f, 1 }, batch.Labels.ToFloats());
    }

    [TestMethod]
    public void Threes_of_anything_are_lists_of_three()
    {
        GraphValue[] inputs = [new("x", new(ElementType.Float, new("batch", 2)))];
        var (batch, _) = Read("""{"x":[[1,2],[3,4],[5,6]]}""", inputs, new() { Kind = LabelKind.None, Group = 3, Shifted = false });
        CollectionAssert.AreEqual(new float[] { 1, 2, 3, 4, 5, 6 }, batch.Values["x"].ToFloats());
        CollectionAssert.AreEqual(new long[] { 3, 2 }, batch.Values["x"].Dims);
    }

    [TestMethod]
    [DataRow("""{"source":"ab","target":"c"}""")]
    [DataRow("""{"translation":{"en":"ab","de":"c"}}""")]
    [DataRow("""{"input_ids":[256,97,98,257],"labels":[256,99,257]}""")]
    public void A_decoder_reads_the_target_one_place_later(string row)
    {
        var (batch, _) = Read(row, [ids, mask, Target("decoder_input_ids"), Target("decoder_attention_mask"), Target("labels")], new() { Kind = LabelKind.Sequence, Shifted = false, DecoderStart = 7 });
        CollectionAssert.AreEqual(new long[] { 256, 97, 98, 257 }, batch.Values["input_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 256, 99, 257 }, batch.Labels.ToLongs());
        CollectionAssert.AreEqual(new long[] { 7, 256, 99 }, batch.Values["decoder_input_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 1, 1, 1 }, batch.Values["decoder_attention_mask"].ToLongs());
    }

    [TestMethod]
    public void Targets_of_different_length_end_in_labels_that_do_not_count()
    {
        var (batch, _) = Read("""
            {"source":"abcdef","target":"c"}
            {"source":"a","target":"cd"}
            """, [ids, Target("decoder_input_ids"), Target("labels")], new() { Kind = LabelKind.Sequence, Shifted = false });
        CollectionAssert.AreEqual(new long[] { 256, 99, 257, -100, 256, 99, 100, 257 }, batch.Labels.ToLongs());
        CollectionAssert.AreEqual(new long[] { 258, 256, 99, 258, 258, 256, 99, 100 }, batch.Values["decoder_input_ids"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 2, 8 }, batch.Values["input_ids"].Dims);
        Assert.AreEqual(7, batch.LabelTokens);
    }

    [TestMethod]
    [DataRow("""{"text":"a","label":"x"}""", "names the class 'x', which is none of: good, bad")]
    [DataRow("""{"text":"a","label":2}""", "label 2 in field 'label' is out of range")]
    [DataRow("""{"text":"a"}""", "no field 'labels' or 'label'")]
    [DataRow("""{"text":"","label":0}""", "the text is empty")]
    [DataRow("""{"text":"a","label":{"x":1}}""", "holds an object")]
    public void A_wrong_class_is_one_sentence(string row, string said) =>
        Refused(row, [ids, classOfRow], new() { Kind = LabelKind.Classes, Shifted = false, Classes = 2, ClassNames = ["good", "bad"] }, said);

    [TestMethod]
    [DataRow("""{"sentence1":"a","sentence2":"b","score":4.5}""")]
    [DataRow("""{"sentence1":"a","sentence2":"b","score":-2}""")]
    public void A_score_that_no_cosine_has_is_one_sentence(string row) => Refused(row, [ids, new("labels", new(ElementType.Float, new Shape("pairs")))],
        new() { Kind = LabelKind.PairScores, Group = 2, Shifted = false, LabelRange = Losses.Find("cosine").Range }, "lies outside -1 to 1");

    [TestMethod]
    [DataRow("""{"tokens":["a","b"],"ner_tags":[0]}""", "has 2 words and 'ner_tags' has 1 labels")]
    [DataRow("""{"tokens":["a"],"ner_tags":[9]}""", "label 9 in field 'ner_tags'")]
    [DataRow("""{"tokens":["a"]}""", "a label per word")]
    [DataRow("""{"tokens":["a"],"ner_tags":"O"}""", "a list with a label per word")]
    [DataRow("""{"tokens":[],"ner_tags":[]}""", "is empty")]
    public void Wrong_word_labels_are_one_sentence(string row, string said) =>
        Refused(row, [ids, Whole("labels")], new() { Kind = LabelKind.Classes, Shifted = false, Classes = 2 }, said);

    [TestMethod]
    [DataRow("""{"text":"a"}""", "compares 2 texts, but no known fields hold them")]
    [DataRow("""{"input_ids":[1,2,3]}""", "compares 2 rows")]
    [DataRow("""{"anchor":"a","positive":" "}""", "the text is empty")]
    public void Wrong_pairs_are_one_sentence(string row, string said) => Refused(row, [ids], new() { Kind = LabelKind.None, Group = 2, Shifted = false }, said);

    [TestMethod]
    [DataRow("""{"source":"a"}""", "the target is missing or empty")]
    [DataRow("""{"source":"a","target":""}""", "the target is missing or empty")]
    [DataRow("""{"translation":{"en":"a"}}""", "holds 1 texts")]
    [DataRow("""{"source":"a","labels":[400]}""", "token 400 of the target is out of range")]
    public void Wrong_targets_are_one_sentence(string row, string said) =>
        Refused(row, [ids, Target("decoder_input_ids"), Target("labels")], new() { Kind = LabelKind.Sequence, Shifted = false, Classes = 300 }, said);

    [TestMethod]
    public void Fields_of_any_name_can_be_named()
    {
        var (one, _) = Read("""{"comment":"a","kind":1,"text":"not this"}""", [ids, classOfRow], new() { Kind = LabelKind.Classes, Shifted = false, TextField = "comment", LabelField = "kind" });
        CollectionAssert.AreEqual(new long[] { 256, 97, 257 }, one.Values["input_ids"].ToLongs());
        var (two, _) = Read("""{"a":"a","b":"b","kind":1}""", [ids, classOfRow], new() { Kind = LabelKind.Classes, Shifted = false, TextField = "a,b", LabelField = "kind" });
        CollectionAssert.AreEqual(new long[] { 256, 97, 257, 98, 257 }, two.Values["input_ids"].ToLongs());
        var (pair, _) = Read("""{"a":"a","b":"b"}""", [ids], new() { Kind = LabelKind.None, Shifted = false, Group = 2, TextField = "a,b" });
        CollectionAssert.AreEqual(new long[] { 2, 3 }, pair.Values["input_ids"].Dims);
        var (target, _) = Read("""{"a":"a","b":"b"}""", [ids, Target("decoder_input_ids"), Target("labels")], new() { Kind = LabelKind.Sequence, Shifted = false, TextField = "a", LabelField = "b" });
        CollectionAssert.AreEqual(new long[] { 256, 98, 257 }, target.Labels.ToLongs());
        var (words, _) = Read("""{"w":["a","b"],"t":[1,0]}""", [ids, Whole("labels")], new() { Kind = LabelKind.Classes, Shifted = false, TextField = "w", LabelField = "t" });
        CollectionAssert.AreEqual(new long[] { -100, 1, 0, -100, -100 }, words.Labels.ToLongs());
        Refused("""{"text":"a"}""", [ids, classOfRow], new() { Kind = LabelKind.Classes, Shifted = false, LabelField = "kind" }, "no field 'kind'");
    }

    [TestMethod]
    public void More_classes_than_the_model_scores_are_refused() => StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Read("""
        {"text":"a","label":"x"}
        {"text":"a","label":"y"}
        """, [ids, classOfRow], new() { Kind = LabelKind.Classes, Shifted = false, Classes = 1 })).Message, "names 2 classes (x, y), but the model scores 1");

    private static GraphValue Whole(string name) => new(name, new(ElementType.Int64, new("batch", "sequence")));

    private static GraphValue Target(string name) => new(name, new(ElementType.Int64, new("batch", "target")));

    private static long[] Unpadded(Tensor tensor, long pad) => [.. tensor.ToLongs().Select(i => i == pad ? 0 : i)];

    private static void Refused(string row, GraphValue[] inputs, DataOptions options, string said)
    {
        var error = Assert.ThrowsExactly<LiftException>(() => Read(row, inputs, options));
        StringAssert.Contains(error.Message, said);
        StringAssert.Contains(error.Message, "rows.jsonl: line 1");
    }

    private static (Batch Batch, DataOptions Options) Read(string rows, GraphValue[] inputs, DataOptions options)
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["rows.jsonl"], rows);
        options = DataFit.Of(temp["rows.jsonl"], inputs, options, ModelNotes.Beside(null)) with { Shuffle = false };
        return (BatchReader.Open(temp["rows.jsonl"], new ByteTokenizer(), inputs, options).Next(), options);
    }
}
