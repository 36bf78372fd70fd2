using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Data;

/// <summary>Tables, folders and files as data.</summary>
[TestClass]
public sealed class TableTests
{
    private static readonly GraphValue features = new("x", new(ElementType.Float, new("batch", 2)));
    private static readonly GraphValue classOfRow = new("labels", new(ElementType.Int64, new Shape("batch")));
    private static readonly DataOptions classes = new() { Kind = LabelKind.Classes, Shifted = false, Classes = 2 };

    [TestMethod]
    public void Columns_of_numbers_are_the_features_and_words_the_class()
    {
        var (batch, options) = Read("d.csv", "age,\"height, cm\",label\n30,1.7e2,cat\n-4,\"80\",\"dog\"\n", [features, classOfRow], classes);
        CollectionAssert.AreEqual(new float[] { 30, 170, -4, 80 }, batch.Values["x"].ToFloats());
        CollectionAssert.AreEqual(new long[] { 0, 1 }, batch.Labels.ToLongs());
        CollectionAssert.AreEqual(new[] { "cat", "dog" }, options.ClassNames!.ToArray());
    }

    [TestMethod]
    public void Named_columns_come_in_their_order_with_words_as_numbers()
    {
        var (batch, options) = Read("d.tsv", "a\tb\tc\ttarget\n1\tred\t9\t0\n2\tblue\t8\t1\n", [features, classOfRow], classes with { Table = new() { Features = ["b", "a"] } });
        CollectionAssert.AreEqual(new float[] { 1, 1, 0, 2 }, batch.Values["x"].ToFloats());
        CollectionAssert.AreEqual(new[] { "blue", "red" }, options.Table.Categories!["b"].ToArray());
    }

    [TestMethod]
    public void Standardised_features_have_mean_zero_and_deviation_one()
    {
        var (batch, options) = Read("d.csv", "a,b,label\n1,5,0\n3,5,1\n", [features, classOfRow], classes with { Table = new() { Standardize = true } });
        CollectionAssert.AreEqual(new float[] { -1, 0, 1, 0 }, batch.Values["x"].ToFloats());
        CollectionAssert.AreEqual(new[] { 2.0, 5 }, options.Table.Mean!.ToArray());
        CollectionAssert.AreEqual(new[] { 1.0, 1 }, options.Table.Deviation!.ToArray());
    }

    [TestMethod]
    public void Several_columns_can_be_one_label()
    {
        var (batch, _) = Read("d.csv", "a,p,q,b\n1,0.5,0,2\n3,1,1,4\n", [features, new("labels", new(ElementType.Float, new("batch", 2)))], new() { Kind = LabelKind.Values, Shifted = false, LabelField = "q,p" });
        CollectionAssert.AreEqual(new float[] { 1, 2, 3, 4 }, batch.Values["x"].ToFloats());
        CollectionAssert.AreEqual(new float[] { 0, 0.5f, 1, 1 }, batch.Labels.ToFloats());
    }

    [TestMethod]
    public void Several_inputs_are_columns_of_their_name()
    {
        GraphValue[] inputs = [new("age", new(ElementType.Float, new("n", 1))), new("colour", new(ElementType.Int64, new("n", 1))), new("labels", new(ElementType.Float, new("n", 1)))];
        var (batch, _) = Read("d.csv", "colour,age,label\nred,3,0.5\ngreen,4,1\n", inputs, new() { Kind = LabelKind.Values, Shifted = false });
        CollectionAssert.AreEqual(new float[] { 3, 4 }, batch.Values["age"].ToFloats());
        CollectionAssert.AreEqual(new long[] { 1, 0 }, batch.Values["colour"].ToLongs());
        CollectionAssert.AreEqual(new long[] { 2, 1 }, batch.Labels.Dims);
    }

    [TestMethod]
    public void Cells_may_hold_separators_quotes_and_lines()
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["d.csv"], "\uFEFFtext,n\r\n\"a, \"\"b\"\"\nc\",007\r\n\r\nplain,.5\r\n");
        DataRow[] rows = [.. RecordFile.Read(temp["d.csv"])];
        Assert.AreEqual("a, \"b\"\nc|007|plain|0.5", string.Join('|', rows.SelectMany(r => new[] { r.Text("text"), r.Text("n") })));
        Assert.AreEqual("2 5", string.Join(' ', rows.Select(r => r.Row)), "rows are counted as lines of the file");
    }

    [TestMethod]
    [DataRow("a,b,label\n1,2\n", "line 2 has 2 cells, but the header names 3 columns")]
    [DataRow("a,a,label\n1,2,0\n", "names the column 'a' twice")]
    [DataRow("a,,label\n1,2,0\n", "a column without a name")]
    [DataRow("a,b,label\n1,\"2,0\n", "the quote that begins in line 2 never ends")]
    [DataRow("a,label\n1,0\n", "1 columns hold numbers (a), where the model reads 2")]
    [DataRow("a,b,c,label\n1,2,3,0\n", "3 columns hold numbers (a, b, c)")]
    [DataRow("a,b,label\n1,2,0\n1,,0\n", "line 3: column 'b' is empty")]
    [DataRow("a,b,label\n1,2,0\n1,x,0\n", "line 3: field 'b' holds a text")]
    [DataRow("a,b\n1,2\n", "no field 'labels'")]
    [DataRow("a,b,label\n", "the data set is empty")]
    public void Wrong_tables_are_one_sentence(string content, string said) =>
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Read("d.csv", content, [features, classOfRow], classes)).Message, said);

    [TestMethod]
    public void Folders_name_the_classes_and_files_are_read_when_a_batch_needs_them()
    {
        using var temp = TestFiles.Temp();
        string media = Path.Combine(TestFiles.Root, "tests/Lift.Ort.Tests/Data/media");
        foreach (var (folder, file) in new[] { ("cat", "colour.png"), ("cat", "baseline.jpg"), ("dog", "grey.png") })
        {
            Directory.CreateDirectory(Path.Combine(temp["data"], folder));
            File.Copy(Path.Combine(media, file), Path.Combine(temp["data"], folder, file));
        }
        File.WriteAllText(Path.Combine(temp["data"], "dog", "notes.txt"), "no image");
        GraphValue[] inputs = [new("pixel_values", new(ElementType.Float, new("batch", 3, 8, 8))), classOfRow];
        var options = DataFit.Of(temp["data"], inputs, classes, ModelNotes.Beside(null)) with { Shuffle = false };
        var reader = BatchReader.Open(temp["data"], null, inputs, options);
        Assert.IsTrue(reader.Examples.All(e => e.Values.Count == 1 && e.Files.Count == 1), "no pixels before they are needed");
        CollectionAssert.AreEqual(new long[] { 3, 3, 8, 8 }, reader.Next().Values["pixel_values"].Dims);
        CollectionAssert.AreEqual(new long[] { 0, 0, 1 }, reader.Next().Labels.ToLongs());

        File.WriteAllText(Path.Combine(temp["data"], "dog", "grey.png"), "broken");
        var error = Assert.ThrowsExactly<LiftException>(() => reader.Next());
        StringAssert.Contains(error.Message, "file 3: field 'pixel_values':");
        StringAssert.Contains(error.Message, "grey.png' is no image that is read here");
    }

    [TestMethod]
    public void Images_of_a_batch_have_one_size()
    {
        using var temp = TestFiles.Temp();
        foreach (int side in new[] { 4, 6 }) File.WriteAllBytes(temp[$"{side}.png"], PngWriter.Png(new int[side, side, 3], 2, 8, false));
        File.WriteAllText(temp["d.jsonl"], """
            {"image":"4.png","label":0}
            {"image":"6.png","label":1}
            """);
        GraphValue[] inputs = [new("pixel_values", new(ElementType.Float, new("batch", 3, "h", "w"))), classOfRow];
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => BatchReader.Open(temp["d.jsonl"], null, inputs, classes with { Shuffle = false }).Next()).Message, "Row 2: field 'pixel_values' has shape [3, 6, 6]");
        var sized = classes with { Shuffle = false, Image = new() { Height = 5, Width = 7 } };
        CollectionAssert.AreEqual(new long[] { 2, 3, 5, 7 }, BatchReader.Open(temp["d.jsonl"], null, inputs, sized).Next().Values["pixel_values"].Dims);
    }

    [TestMethod]
    public void Arrays_lie_in_files_of_their_own_and_masks_in_images()
    {
        using var temp = TestFiles.Temp();
        Safetensors.Write(temp["x.safetensors"], [Tensor.From<float>("one", [1, 2], 2), Tensor.From<double>("two", [3, 4], 2)]);
        File.WriteAllText(temp["d.jsonl"], """
            {"x":"x.safetensors#one","label":0}
            {"x":"x.safetensors#two","label":1}
            """);
        CollectionAssert.AreEqual(new float[] { 1, 2, 3, 4 }, BatchReader.Open(temp["d.jsonl"], null, [features, classOfRow], classes with { Shuffle = false }).Next().Values["x"].ToFloats());

        File.Copy(Path.Combine(TestFiles.Root, "tests/Lift.Ort.Tests/Data/media/palette.png"), temp["mask.png"]);
        File.WriteAllText(temp["m.jsonl"], """{"image":"mask.png","label":"mask.png"}""");
        GraphValue[] inputs = [new("pixel_values", new(ElementType.Float, new("batch", 3, 8, 8))), new("labels", new(ElementType.Int64, new("batch", 8, 8)))];
        long[] labels = BatchReader.Open(temp["m.jsonl"], null, inputs, classes with { Classes = 8 }).Next().Labels.ToLongs();
        Assert.AreEqual(64, labels.Length);
        Assert.IsTrue(labels.All(l => l is >= 0 and < 8) && labels.Distinct().Count() > 2);
    }

    [TestMethod]
    [DataRow("""{"x":"none.npy","label":0}""", "names the file 'none.npy', but there is no")]
    [DataRow("""{"x":"hello","label":0}""", "holds the text 'hello', where the model reads float[batch, 2]")]
    public void A_file_that_is_absent_is_one_sentence(string row, string said) => StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Read("d.jsonl", row, [features, classOfRow], classes)).Message, said);

    [TestMethod]
    public void Files_beside_the_model_tell_classes_and_the_first_token()
    {
        using var temp = TestFiles.Temp();
        Directory.CreateDirectory(temp["onnx"]);
        File.WriteAllText(temp["config.json"], """{"id2label":{"0":"no","1":"yes"},"decoder_start_token_id":3}""");
        File.WriteAllText(temp["preprocessor_config.json"], """{"sampling_rate":16000,"do_normalize":true,"feature_extractor_type":"Wav2Vec2FeatureExtractor"}""");
        ModelNotes notes = ModelNotes.Beside(Path.Combine(temp["onnx"], "model.onnx"));
        CollectionAssert.AreEqual(new[] { "no", "yes" }, notes.ClassNames!.ToArray());
        File.WriteAllText(temp["d.jsonl"], """{"x":[1,2],"label":"yes"}""");
        DataOptions options = DataFit.Of(temp["d.jsonl"], [features, classOfRow], classes, notes);
        Assert.AreEqual((3, 16000, true, "no yes"), (options.DecoderStart!.Value, options.Audio!.Rate, options.Audio.Normalize, string.Join(' ', options.ClassNames!)));
        Assert.IsNull(options.Image);
        File.WriteAllText(temp["config.json"], """{"id2label":{"0":"LABEL_0","1":"LABEL_1"}}""");
        Assert.IsNull(ModelNotes.Beside(temp["model.onnx"]).ClassNames);
    }

    private static (Batch Batch, DataOptions Options) Read(string name, string content, GraphValue[] inputs, DataOptions options)
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp[name], content);
        options = DataFit.Of(temp[name], inputs, options, ModelNotes.Beside(null)) with { Shuffle = false };
        return (BatchReader.Open(temp[name], null, inputs, options).Next(), options);
    }
}
