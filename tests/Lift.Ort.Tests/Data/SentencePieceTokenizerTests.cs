using System.Text.Json;
using Lift.Ort.Data;

namespace Lift.Ort.Tests.Data;

[TestClass]
public sealed class SentencePieceTokenizerTests
{
    private static SentencePieceTokenizer Stories() => new(TestFiles.Shared("models/stories260k/tok512.model"));

    [TestMethod]
    public void Golden_token_inputs_come_back_from_their_text()
    {
        using var tokenizer = Stories();
        int checkedLines = 0;
        foreach (string file in new[] { "models/stories260k/golden.json", "golden/lift-train/stories260k/manifest.json" })
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(TestFiles.Shared(file)));
            foreach (int[] ids in Sentences(json.RootElement))
            {
                string text = tokenizer.Decode(ids);
                CollectionAssert.AreEqual(ids, tokenizer.Encode(text), text);
                checkedLines++;
            }
        }
        Assert.IsTrue(checkedLines > 10, $"{checkedLines} sequences");
    }

    /// <summary><c>sentencepiece.json</c>: what Google's SentencePiece (npm sentencepiece-js 1.1.0) answers for these texts and models.</summary>
    [TestMethod]
    [DataRow("uni.model")]
    [DataRow("unimap.model")]
    [DataRow("unibyte.model")]
    [DataRow("bpe.model")]
    [DataRow("bpebyte.model")]
    [DataRow("bpesuffix.model")]
    [DataRow("tok512.model")]
    public void Ids_and_texts_are_those_of_the_real_library(string name)
    {
        using var temp = TestFiles.Temp();
        string path = name == "tok512.model" ? TestFiles.Shared("models/stories260k/tok512.model") : temp[name];
        if (name != "tok512.model") SentencePieceFile.Write(path);
        using var tokenizer = new SentencePieceTokenizer(path);
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(TestFiles.Root, "tests/Lift.Ort.Tests/Data/sentencepiece.json")));
        string[] texts = [.. json.RootElement.GetProperty("texts").EnumerateArray().Select(t => t.GetString()!)];
        for (int i = 0; i < texts.Length; i++)
        {
            int[] ids = [.. json.RootElement.GetProperty("models").GetProperty(name)[i].EnumerateArray().Select(v => v.GetInt32())];
            string decoded = json.RootElement.GetProperty("decoded").GetProperty(name)[i].GetString()!;
            CollectionAssert.AreEqual(ids, tokenizer.Encode(texts[i]), $"[{texts[i]}] is {string.Join(" ", tokenizer.Encode(texts[i]))}");
            Assert.AreEqual(decoded, tokenizer.Decode(ids), $"[{texts[i]}]");
        }
    }

    [TestMethod]
    public void Special_tokens_in_a_text_are_ids_only_when_asked()
    {
        using var tokenizer = Stories();
        Assert.AreEqual((512, 1, 2, null), (tokenizer.VocabularySize, tokenizer.BeginId, tokenizer.EndId, tokenizer.PadId));
        CollectionAssert.AreEqual(new[] { 1 }, tokenizer.Prefix.ToArray());
        int[] once = tokenizer.Encode("Once");
        CollectionAssert.AreEqual((int[])[1, .. once, 2, .. once], tokenizer.Encode("<s>Once</s>Once", special: true));
        CollectionAssert.DoesNotContain(tokenizer.Encode("<s>Once"), 1);
    }

    [TestMethod]
    public void What_is_no_model_is_refused_in_one_sentence()
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["a.model"], "this is no protobuf at all");
        File.WriteAllBytes(temp["b.model"], SentencePieceFile.Model([("<unk>", 0, 2)], 3));
        File.WriteAllBytes(temp["c.model"], []);
        foreach (string name in new[] { "a.model", "b.model", "c.model", "none.model" })
            StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Tokenizer.Open(temp[name])).Message, temp[name]);
        File.WriteAllBytes(temp["d.model"], SentencePieceFile.Model([("<unk>", 0, 2)], 1, map: [255, 255, 0, 0, 1, 2, 3, 4]));
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Tokenizer.Open(temp["d.model"])).Message, "character map");
    }

    /// <summary>Token sequences in input_ids of any depth, without BOS, EOS and padding.</summary>
    private static IEnumerable<int[]> Sentences(JsonElement json)
    {
        if (json.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in json.EnumerateObject())
            {
                if (property.Name == "input_ids" && property.Value.ValueKind == JsonValueKind.Object)
                {
                    int width = property.Value.GetProperty("shape")[1].GetInt32();
                    foreach (int[] row in property.Value.GetProperty("data").EnumerateArray().Select(v => v.GetInt32()).Chunk(width)) yield return Strip(row);
                }
                else if (property.Name == "input_ids")
                {
                    foreach (var row in property.Value.EnumerateArray()) yield return Strip([.. row.EnumerateArray().Select(v => v.GetInt32())]);
                }
                else foreach (int[] row in Sentences(property.Value)) yield return row;
            }
        }
        else if (json.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in json.EnumerateArray())
            {
                foreach (int[] row in Sentences(item)) yield return row;
            }
        }

        static int[] Strip(int[] row) => [.. row.Where(id => id > 2)];
    }
}
