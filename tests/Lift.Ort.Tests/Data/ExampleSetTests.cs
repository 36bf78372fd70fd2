using Lift.Ort.Data;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Data;

[TestClass]
public sealed class ExampleSetTests
{
    private const string Sentence = "Below is an instruction that describes a task. Write a response that appropriately completes the request.";

    private static readonly ByteTokenizer bytes = new();

    [TestMethod]
    public void Text_is_its_own_label_between_begin_and_end()
    {
        var example = One("""{"text":"hé"}""");
        CollectionAssert.AreEqual(new[] { 256, 104, 195, 169, 257 }, example.Ids);
        CollectionAssert.AreEqual(example.Ids, example.Labels);
    }

    [TestMethod]
    public void A_prompt_s_labels_do_not_count()
    {
        var example = One("""{"prompt":"ab","completion":"cd"}""");
        CollectionAssert.AreEqual(new[] { 256, 97, 98, 99, 100, 257 }, example.Ids);
        CollectionAssert.AreEqual(new[] { -100, -100, -100, 99, 100, 257 }, example.Labels);
    }

    [TestMethod]
    [DataRow(PromptTemplate.Clean, """{"instruction":"Add","input":"1 2","output":"3</s>"}""",
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\nAdd\n\n### Input:\n1 2\n\n### Response:\n", "3 ")]
    [DataRow(PromptTemplate.Clean, """{"instruction":"Add","input":"","output":"3"}""", Sentence + "\n\n### Instruction:\nAdd\n\n### Response:\n", "3 ")]
    [DataRow(PromptTemplate.Paper, """{"instruction":"Add","input":"","output":"3</s>"}""", " " + Sentence + "  \n\n### Instruction:\nAdd\n                \n### Response:\n", "3 ")]
    [DataRow(PromptTemplate.Paper, """{"instruction":"Add","input":"1 2","chosen":"3"}""", " " + Sentence + "  \n\n### Instruction:\n1 2\n                \n### Response:\n", "3 ")]
    [DataRow(PromptTemplate.Clean, """{"question":"1+2?","answer":"It is 3.\n#### 3"}""", Sentence + "\n\n### Instruction:\n1+2?\n\n### Response:\n", "It is 3. ")]
    [DataRow(PromptTemplate.Clean, """{"Problem":"1+2?","Rationale":"It is 3."}""", Sentence + "\n\n### Instruction:\n1+2?\n\n### Response:\n", "It is 3. ")]
    [DataRow(PromptTemplate.Clean, """{"problem":"1+2?","solution":"3","output":""}""", Sentence + "\n\n### Instruction:\n1+2?\n\n### Response:\n", "3 ")]
    [DataRow(PromptTemplate.Clean, """{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yo"}]}""", "User: hi\n\nAssistant: ", "yo")]
    public void Instructions_follow_their_template_to_the_space(PromptTemplate template, string row, string prompt, string target)
    {
        var example = One(row, new() { Template = template, MaxLength = 1000 });
        int masked = example.Labels.Count(l => l == Example.Ignored);
        Assert.AreEqual(256, example.Ids[0]);
        Assert.AreEqual(1, example.Ids.Count(id => id == 256), "one begin token");
        Assert.AreEqual(prompt, bytes.Decode(example.Ids.AsSpan(0, masked)));
        Assert.AreEqual(target, bytes.Decode(example.Ids.AsSpan(masked)));
        Assert.AreEqual(257, example.Ids[^1]);
    }

    [TestMethod]
    public void The_paper_s_evaluation_prompt_has_one_space_and_an_empty_line()
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["d.jsonl"], """{"instruction":"Add","output":"so 3","answer":"3"}""");
        var prompt = Prompt.From(RecordFile.Read(temp["d.jsonl"]).Single(), bytes, PromptTemplate.Paper, evaluation: true)!;
        Assert.AreEqual($"<s> {Sentence} \n\n### Instruction:\nAdd\n\n### Response:\n", prompt.Text);
        Assert.AreEqual("3", prompt.Answer);
    }

    [TestMethod]
    public void Chats_go_through_the_tokenizer_s_template_and_end_themselves()
    {
        using var temp = TestFiles.Temp();
        TokenizerFolder.Write(temp["t"], true, true);
        using var tokenizer = Tokenizer.Open(temp["t"])!;
        string[] rows =
        [
            """{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"},{"role":"assistant","content":"yo"}]}""",
            """{"instruction":"hi","output":"yo"}""",
        ];
        string[] prompts = ["<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"];
        File.WriteAllLines(temp["d.jsonl"], rows);
        var set = ExampleSet.Read(temp["d.jsonl"], tokenizer, BatchReaderTests.TextInputs, new());
        for (int i = 0; i < 2; i++)
        {
            int[] ids = set.Examples[i].Ids, labels = set.Examples[i].Labels;
            CollectionAssert.AreEqual((int[])[.. tokenizer.Prefix, .. tokenizer.Encode(prompts[i] + "yo<|im_end|>\n")], ids);
            int masked = labels.Count(l => l == Example.Ignored);
            CollectionAssert.AreEqual(tokenizer.Encode("yo<|im_end|>\n"), labels[masked..]);
        }
    }

    [TestMethod]
    public void Ready_tokens_are_taken_as_they_are()
    {
        var both = One("""{"input_ids":[5,6,7],"labels":[-100,6,7]}""", null, null);
        CollectionAssert.AreEqual(new[] { 5, 6, 7 }, both.Ids);
        CollectionAssert.AreEqual(new[] { -100, 6, 7 }, both.Labels);
        CollectionAssert.AreEqual(new[] { 5, 6, 7 }, One("""{"input_ids":[5,6,7]}""", null, null).Labels);
        CollectionAssert.AreEqual(new[] { 5, 6, 7 }, One("""{"input_ids":[5,6,7]}""").Labels, "a tokenizer does not stand in the way");
    }

    [TestMethod]
    public void Rows_of_numbers_give_what_the_model_reads()
    {
        GraphValue[] inputs = [new("x", new(ElementType.Float, new("batch", 2, 2))), new("labels", new(ElementType.Int64, new Shape("batch")))];
        var example = One("""{"x":[[1,2],[3,4.5]],"labels":3}""", new() { Classes = 5 }, null, inputs);
        CollectionAssert.AreEqual(new[] { 1, 2, 3, 4.5f }, example.Values["x"].ToFloats());
        CollectionAssert.AreEqual(new long[] { 2, 2 }, example.Values["x"].Dims);
        CollectionAssert.AreEqual(new long[] { 3 }, example.Values["labels"].ToLongs());

        GraphValue[] values = [inputs[0], new("labels", new(ElementType.Float, new("batch", 2)))];
        CollectionAssert.AreEqual(new[] { 0.5f, 1 }, One("""{"x":[[1,2],[3,4]],"labels":[0.5,1]}""", null, null, values).Values["labels"].ToFloats());
    }

    [TestMethod]
    public void Texts_with_a_class_have_one_label_per_row()
    {
        GraphValue[] inputs = [.. BatchReaderTests.TextInputs[..4], new("labels", new(ElementType.Int64, new Shape("batch")))];
        foreach (string row in new[] { """{"text":"ab","label":1}""", """{"text":"ab","labels":1}""", """{"input_ids":[256,97,98,257],"token_type_ids":[0,0,1,1],"labels":1}""" })
        {
            var example = One(row, new() { Shifted = false, Classes = 2 }, bytes, inputs);
            CollectionAssert.AreEqual(new[] { 256, 97, 98, 257 }, example.Ids);
            CollectionAssert.AreEqual(new long[] { 1 }, new BatchReader([example], inputs, new()).Next().Labels.ToLongs());
            if (row.Contains("token_type")) CollectionAssert.AreEqual(new long[] { 0, 0, 1, 1 }, new BatchReader([example], inputs, new()).Next().Values["token_type_ids"].ToLongs());
        }
    }

    [TestMethod]
    public void Long_rows_are_cut_and_rows_without_a_label_left_are_skipped()
    {
        var set = Read("{\"prompt\":\"abcdef\",\"completion\":\"gh\"}\n{\"prompt\":\"a\",\"completion\":\"bcdefgh\"}\n{\"text\":\"a\"}", new() { MaxLength = 4 });
        Assert.AreEqual((2, 1), (set.Truncated, set.Skipped));
        Assert.AreEqual("2 3", string.Join(" ", set.Examples.Select(e => e.Row)));
        CollectionAssert.AreEqual(new[] { 256, 97, 98, 99 }, set.Examples[0].Ids);
        Assert.AreEqual(1, Read("{\"text\":\"a\"}\n{\"text\":\"b\"}", new() { Limit = 1 }).Examples.Count);
    }

    [TestMethod]
    [DataRow("""[{"text":"a"}, {"text":"b"}]""", 2)]
    [DataRow("\n\n  [ {\"text\":\"a\"} ]", 1)]
    [DataRow("{\"text\":\"a\"}\r\n\r\n{\"text\":\"b\"}\r\n", 2)]
    [DataRow("\uFEFF{\"text\":\"é日🙂\"}", 1)]
    public void Arrays_and_lines_are_read(string content, int rows) => Assert.AreEqual(rows, Read(content, new()).Examples.Count);

    [TestMethod]
    [DataRow("", "the data set is empty")]
    [DataRow("[]", "the data set is empty")]
    [DataRow("{\"text\":\"a\"}\n{\"text\":\"\"}", "line 2: the target is empty")]
    [DataRow("[{\"text\":\"a\"},{\"prompt\":\"x\",\"completion\":\" \"}]", "entry 2: the target is empty")]
    [DataRow("{\"instruction\":\"\",\"output\":\"x\"}", "the fields instruction are empty")]
    [DataRow("{\"foo\":1}", "line 1: none of the known fields is there (fields: foo)")]
    [DataRow("{\"text\":[1,2]}", "line 1: field 'text' holds a list ([1,2]) where a text is expected")]
    [DataRow("{\"text\":\"a\"}\n{\"text\":", "line 2 is no JSON object")]
    [DataRow("[{\"text\":\"a\"},", "after entry 1 the file is no JSON array")]
    [DataRow("7", "line 1 is a number, not an object")]
    [DataRow("[7]", "entry 1 is a number, not an object")]
    [DataRow("{\"input_ids\":[1,2.5]}", "field 'input_ids' holds a number (2.5) where a list of whole numbers")]
    [DataRow("{\"text\":\"a\"}\n{\"text\":\"a\\ud800b\"}", "line 2: a text holds one half of a pair")]
    [DataRow("[{\"\\uDC00\":1,\"text\":\"a\"}]", "entry 1: a text holds one half of a pair")]
    [DataRow("{\"input_ids\":\"1 2\"}", "field 'input_ids' holds a text")]
    [DataRow("{\"input_ids\":[]}", "field 'input_ids' is empty")]
    [DataRow("{\"input_ids\":[1,300]}", "input_ids 300 at position 1 is out of the model's vocabulary of 300")]
    [DataRow("{\"input_ids\":[1,-1]}", "input_ids -1 at position 1")]
    [DataRow("{\"input_ids\":[1,2],\"labels\":[1]}", "'labels' has 1 entries and 'input_ids' has 2")]
    [DataRow("{\"input_ids\":[1,2],\"labels\":[1,300]}", "label 300 in field 'labels' is out of range: the model scores classes 0 to 299")]
    [DataRow("{\"messages\":\"hi\"}", "field 'messages' holds a text")]
    [DataRow("{\"messages\":[{\"role\":\"user\"}]}", "field 'messages' holds an object")]
    [DataRow("{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"}]}", "no message before the assistant's")]
    [DataRow("{\"prompt\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"completion\":\"b\"}", "none of the 1 rows has a label left within --max-length 20")]
    public void Bad_text_data_is_one_sentence(string content, string said)
    {
        var error = Assert.ThrowsExactly<LiftException>(() => Read(content, new() { VocabularySize = 300, MaxLength = 20 }));
        StringAssert.Contains(error.Message, said);
        StringAssert.Contains(error.Message, "d.json");
    }

    [TestMethod]
    [DataRow("""{"labels":1}""", "no field 'x'")]
    [DataRow("""{"x":[1,2]}""", "no field 'labels'")]
    [DataRow("""{"x":[1,"2"],"labels":1}""", "field 'x' holds a text")]
    [DataRow("""{"x":[[1],[2,3]],"labels":1}""", "field 'x' is ragged")]
    [DataRow("""{"x":[1,[2]],"labels":1}""", "field 'x' is ragged")]
    [DataRow("""{"x":[1,2],"labels":5}""", "label 5 in field 'labels' is out of range: the model scores classes 0 to 4")]
    [DataRow("""{"x":[1,2],"labels":1.5}""", "where whole numbers is expected")]
    public void Bad_numbers_are_one_sentence(string row, string said)
    {
        GraphValue[] inputs = [new("x", new(ElementType.Float, new("batch", 2))), new("labels", new(ElementType.Int64, new Shape("batch")))];
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => One(row, new() { Classes = 5 }, null, inputs)).Message, said);
    }

    [TestMethod]
    [DataRow(ElementType.UInt8, "[[0,256]]", "whole numbers from 0 to 255")]
    [DataRow(ElementType.UInt8, "[[-1,2]]", "whole numbers from 0 to 255")]
    [DataRow(ElementType.Int8, "[[-129,2]]", "whole numbers from -128 to 127")]
    [DataRow(ElementType.Int32, "[[1,2147483648]]", "whole numbers from")]
    [DataRow(ElementType.Float16, "[[1,70000]]", "numbers from -65504 to 65504")]
    [DataRow(ElementType.Float, "[[1,1e39]]", "numbers from -3.4")]
    [DataRow(ElementType.Int64, "[[1,1e300]]", "whole numbers from")]
    public void Numbers_beyond_their_type_are_refused(ElementType type, string x, string said)
    {
        GraphValue[] inputs = [new("x", new(type, new("batch", 1, 2))), new("labels", new(ElementType.Int64, new Shape("batch")))];
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => One($$"""{"x":{{x}},"labels":1}""", new() { Classes = 5 }, null, inputs)).Message, said);
        One("""{"x":[[0,100]],"labels":1}""", new() { Classes = 5 }, null, inputs);
    }

    [TestMethod]
    public void Pairs_of_halves_are_characters() => Assert.AreEqual(1, Read("""{"text":"\ud83d\ude42","\uD83D\uDE42":[{"a":"\ud83d\ude42"}]}""", new()).Examples.Count);

    [TestMethod]
    public void Of_a_field_that_stands_twice_the_last_counts()
    {
        const string row = """{"ids":[1,2],"ids":[3,4,5]}""";
        CollectionAssert.AreEqual(new[] { 3, 4, 5 }, One(row, new() { InputFields = new Dictionary<string, string> { ["input_ids"] = "ids" } }, null).Ids);
    }

    [TestMethod]
    public void A_row_whose_only_label_does_not_count_is_left_out()
    {
        GraphValue[] inputs = [new("x", new(ElementType.Float, new("batch", 2))), new("labels", new(ElementType.Int64, new Shape("batch")))];
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["d.jsonl"], "{\"x\":[1,2],\"label\":-100}\n{\"x\":[1,2],\"label\":1}");
        ExampleSet set = ExampleSet.Read(temp["d.jsonl"], null, inputs, new() { Classes = 5, Shifted = false, Kind = Lift.Ort.Gradients.LabelKind.Classes });
        Assert.AreEqual((1, 1), (set.Examples.Count, set.Skipped));
    }

    [TestMethod]
    public void Bytes_that_are_no_text_are_named_with_their_place()
    {
        using var temp = TestFiles.Temp();
        foreach (int padding in new[] { 0, 65_530, 65_535, 200_000 })
        {
            byte[] start = System.Text.Encoding.UTF8.GetBytes($"{{\"text\":\"{new string('a', padding)}é\"}}\n{{\"text\":\"");
            File.WriteAllBytes(temp["d.jsonl"], [.. start, 0xFF, .. "\"}"u8]);
            var error = Assert.ThrowsExactly<LiftException>(() => Read(temp["d.jsonl"]));
            StringAssert.Contains(error.Message, $"line 2 is not UTF-8: byte 0xFF at offset {start.Length}");
        }
        File.WriteAllBytes(temp["d.jsonl"], [.. "{\"text\":\"a\"}\n"u8, 0xC3]);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Read(temp["d.jsonl"])).Message, "byte 0xC3 at offset 13");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Read(temp["missing.jsonl"])).Message, "There is no data file");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => One("""{"text":"a"}""", null, null)).Message, "--tokenizer");

        static ExampleSet Read(string path) => ExampleSet.Read(path, bytes, BatchReaderTests.TextInputs, new());
    }

    [TestMethod]
    [DataRow("math/gsm8k.train.jsonl", 7473)]
    [DataRow("math/math_data_without_svamp_multiarith.json", 1980)]
    [DataRow("commonsense/piqa.test.json", 1838)]
    public void Published_files_are_read_whole(string file, int rows)
    {
        using var tokenizer = new SentencePieceTokenizer(TestFiles.Shared("models/stories260k/tok512.model"));
        var set = ExampleSet.Read(TestFiles.Shared($"data/{file}"), tokenizer, BatchReaderTests.TextInputs, new() { MaxLength = 4096, VocabularySize = 512 });
        Assert.AreEqual((rows, 0, 0), (set.Examples.Count, set.Truncated, set.Skipped));
        Assert.IsTrue(set.Examples.All(e => e.CountLabels(true) > 0 && e.Labels[0] == Example.Ignored));
    }

    private static Example One(string row, DataOptions? options = null) => One(row, options, bytes);

    private static Example One(string row, DataOptions? options, ITokenizer? tokenizer, GraphValue[]? inputs = null)
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["d.jsonl"], row);
        return ExampleSet.Read(temp["d.jsonl"], tokenizer, inputs ?? BatchReaderTests.TextInputs, options ?? new()).Examples.Single();
    }

    private static ExampleSet Read(string content, DataOptions options)
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["d.json"], content);
        return ExampleSet.Read(temp["d.json"], bytes, BatchReaderTests.TextInputs, options);
    }
}
