using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Data;

/// <summary>Models that read several texts apart; <see cref="SeveralRowsTests"/> has them row by row.</summary>
[TestClass]
public sealed class TokenStreamsTests
{
    private static readonly GraphValue[] towers = [Ids("a_input_ids"), Mask("a_attention_mask", ElementType.Bool), Ids("b_input_ids"), Mask("b_attention_mask", ElementType.Float)];

    [TestMethod]
    public void Masks_have_the_types_that_the_model_reads()
    {
        var (values, cut) = Read("""{"a":"xy","b":"z"}""", towers, new());
        Assert.AreEqual((ElementType.Bool, ElementType.Float, 0), (values["a_attention_mask"].Type, values["b_attention_mask"].Type, cut));
        CollectionAssert.AreEqual(new float[] { 1, 1, 1 }, values["b_attention_mask"].ToFloats());
    }

    [TestMethod]
    public void Every_text_is_cut_by_itself()
    {
        var (values, cut) = Read("""{"a":"xyxyxy","b":"z"}""", towers, new() { MaxLength = 4 });
        CollectionAssert.AreEqual(new long[] { 256, 120, 121, 257 }, values["a_input_ids"].ToLongs(), "the end stays");
        CollectionAssert.AreEqual(new long[] { 256, 122, 257 }, values["b_input_ids"].ToLongs());
        Assert.AreEqual(1, cut);
        (values, cut) = Read("""{"a_input_ids":[1,2,3,4,5],"b_input_ids":[6]}""", towers, new() { MaxLength = 4 });
        CollectionAssert.AreEqual(new long[] { 1, 2, 3, 4 }, values["a_input_ids"].ToLongs(), "ready tokens too");
        Assert.AreEqual(1, cut);
    }

    [TestMethod]
    [DataRow("input_ids attention_mask", "")]
    [DataRow("input_ids lang_ids attention_mask", "")]
    [DataRow("input_ids token_ids", "")]
    [DataRow("input_ids decoder_input_ids", "")]
    [DataRow("input_ids_1 input_ids_2 attention_mask_1 attention_mask_2 segment_ids_2", "input_ids_1 input_ids_2")]
    [DataRow("query_tokens doc_tokens query_mask", "query_tokens doc_tokens")]
    [DataRow("anchor_ids positive_ids negative_ids", "anchor_ids positive_ids negative_ids")]
    public void Names_tell_one_text_from_several(string inputs, string texts)
    {
        var streams = new TokenStreams([.. inputs.Split(' ').Select(i => Ids(i))]);
        Assert.AreEqual(texts, string.Join(' ', streams.All.Select(s => s.Name)));
        foreach (string input in inputs.Split(' ')) Assert.AreEqual(texts.Length > 0, streams.Knows(Ids(input)), input);
    }

    [TestMethod]
    public void Given_masks_are_taken_as_they_are()
    {
        var (values, _) = Read("""{"a":"xy","b":"z","a_attention_mask":[1,0,1,1]}""", towers, new());
        Assert.IsFalse(values.ContainsKey("a_attention_mask"), "the row's own");
        Assert.IsTrue(values.ContainsKey("b_attention_mask"));
    }

    [TestMethod]
    [DataRow("""{"a":"x"}""", "no text for the model's input 'b_input_ids'")]
    [DataRow("""{"a":"x","b":""}""", "the text in field 'b' is empty")]
    [DataRow("""{"a":"x","b_input_ids":[]}""", "field 'b_input_ids' is empty")]
    public void What_is_missing_is_named(string row, string said)
    {
        string message = Assert.ThrowsExactly<LiftException>(() => Read(row, towers, new())).Message;
        StringAssert.Contains(message, "rows.jsonl: line 1");
        StringAssert.Contains(message, said);
    }

    private static (Dictionary<string, Tensor> Values, int Cut) Read(string row, GraphValue[] inputs, DataOptions options) =>
        new TokenStreams(inputs).Read(new DataRow("rows.jsonl", "line", 1, System.Text.Json.JsonElement.Parse(row)), () => new ByteTokenizer(), options with { Kind = LabelKind.None });

    private static GraphValue Ids(string name) => new(name, new(ElementType.Int64, new("batch", $"{name}_length")));

    private static GraphValue Mask(string name, ElementType type) => new(name, new(type, new("batch", "length")));
}
