using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Data;

/// <summary>What rows with several labels count and where a label may lie; <see cref="SeveralRowsTests"/> has their values.</summary>
[TestClass]
public sealed class SeveralLabelsTests
{
    [TestMethod]
    public void A_label_may_lie_in_a_file_of_its_own()
    {
        using var temp = TestFiles.Temp();
        File.WriteAllBytes(temp["mask.png"], PngWriter.Png(new int[2, 2, 1] { { { 0 }, { 1 } }, { { 2 }, { 255 } } }, 0, 8, false));
        File.WriteAllText(temp["rows.jsonl"], """{"x":[1],"area":"mask.png","kind":1}""");
        GraphValue[] inputs = [new("x", new(ElementType.Float, new("batch", 1))), new("labels_area", new(ElementType.Int64, new("batch", 2, 2))), new("labels_kind", new(ElementType.Int64, new("batch")))];
        DataOptions options = new() { Shifted = false, Several = [new("labels_area", null, "area", LabelKind.Classes) { Classes = 3 }, new("labels_kind", null, "kind", LabelKind.Classes) { Classes = 2 }] };
        Batch batch = BatchReader.Open(temp["rows.jsonl"], null, inputs, options).Next();
        CollectionAssert.AreEqual(new long[] { 0, 1, 2, -100 }, batch.Values["labels_area"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 1 }, batch.Values["labels_kind"].ToLongs());
    }

    [TestMethod]
    [DataRow(LabelKind.NextTokens, DisplayName = "one of the labels stands under the tokens")]
    [DataRow(LabelKind.Values, DisplayName = "none does")]
    public void Rows_that_were_cut_are_counted(LabelKind kind)
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["rows.jsonl"], """
            {"text":"a long text","a":1,"b":1}
            {"text":"b","a":1,"b":1}
            """);
        GraphValue[] inputs = [new("input_ids", new(ElementType.Int64, new("batch", "length"))), new("labels_a", new(kind == LabelKind.Values ? ElementType.Float : ElementType.Int64, kind == LabelKind.Values ? new("batch", 1) : new("batch", "length"))), new("labels_b", new(ElementType.Float, new("batch", 1)))];
        DataOptions options = new() { MaxLength = 4, Several = [new("labels_a", null, "a", kind), new("labels_b", null, "b", LabelKind.Values)] };
        Assert.AreEqual(1, BatchReader.Open(temp["rows.jsonl"], new ByteTokenizer(), inputs, options).Truncated);
    }
}
