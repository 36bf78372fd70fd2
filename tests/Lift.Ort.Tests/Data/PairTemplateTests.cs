using System.Text.Json;
using Lift.Ort.Data;

namespace Lift.Ort.Tests.Data;

[TestClass]
public sealed class PairTemplateTests
{
    [TestMethod]
    [DataRow("""{"post_processor":{"type":"BertProcessing","sep":["[SEP]",102],"cls":["[CLS]",101]}}""", "101 7 102 8 9 102", "0 0 0 1 1 1")]
    [DataRow("""{"post_processor":{"type":"RobertaProcessing","sep":["</s>",2],"cls":["<s>",0],"trim_offsets":true}}""", "0 7 2 2 8 9 2", "0 0 0 0 0 0 0")]
    [DataRow("""{"post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing","single":[],"pair":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}},{"Sequence":{"id":"B","type_id":1}},{"SpecialToken":{"id":"[SEP]","type_id":1}}],"special_tokens":{"[CLS]":{"id":"[CLS]","ids":[3],"tokens":["[CLS]"]},"[SEP]":{"id":"[SEP]","ids":[4],"tokens":["[SEP]"]}}}]}}""", "3 7 4 8 9 4", "0 0 0 1 1 1")]
    public void Two_texts_stand_as_the_post_processor_says(string json, string ids, string segments)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        var pair = PairTemplate.Of(document.RootElement)!.Apply([7], [8, 9]);
        Assert.AreEqual((ids, segments), (string.Join(' ', pair.Ids), string.Join(' ', pair.Segments)));
    }

    [TestMethod]
    [DataRow("""{"post_processor":null}""")]
    [DataRow("{}")]
    [DataRow("""{"post_processor":{"type":"ByteLevel"}}""")]
    public void Without_one_the_single_text_s_tokens_are_used(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        Assert.IsNull(PairTemplate.Of(document.RootElement));
        Assert.AreEqual("1 7 2 8 2", string.Join(' ', PairTemplate.Plain([1], [2]).Apply([7], [8]).Ids));
    }
}
