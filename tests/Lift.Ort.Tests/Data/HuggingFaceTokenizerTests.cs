using Lift.Ort.Data;

namespace Lift.Ort.Tests.Data;

[TestClass]
public sealed class HuggingFaceTokenizerTests
{
    private const int The = 257, SpaceThe = 258, SpaceCat = 261, Begin = 262, End = 263, Pad = 264, TurnBegin = 265;

    private static readonly string[] merges = ["t h", "th e", "Ġ the", "Ġ c", "a t", "Ġc at"];

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Texts_become_merged_bytes_and_come_back(bool addsBegin)
    {
        using var temp = TestFiles.Temp();
        using var tokenizer = Make(temp, addsBegin);
        CollectionAssert.AreEqual(new[] { The, SpaceCat }, tokenizer.Encode("the cat"));
        CollectionAssert.AreEqual(new[] { Begin, SpaceThe, End }, tokenizer.Encode("<s> the</s>", special: true));
        Assert.IsEmpty(tokenizer.Encode(""));
        foreach (string text in new[] { "the cat", " the cat", "é☃ x 日本", "a\n\nb  c", "tab\tquote\"", "🙂" }) Assert.AreEqual(text, tokenizer.Decode(tokenizer.Encode(text)));
        Assert.AreEqual(" the", tokenizer.Decode([Begin, SpaceThe, End, Pad]), "special tokens are left out");
        Assert.AreEqual("", tokenizer.Decode([]));
        Assert.AreEqual((267, Begin, End, Pad), (tokenizer.VocabularySize, tokenizer.BeginId, tokenizer.EndId, tokenizer.PadId));
        CollectionAssert.AreEqual(addsBegin ? [Begin] : Array.Empty<int>(), tokenizer.Prefix.ToArray());
        Assert.IsEmpty(tokenizer.Suffix);
    }

    [TestMethod]
    public void The_chat_template_is_the_folder_s_own()
    {
        using var temp = TestFiles.Temp();
        using var tokenizer = Make(temp, true, chat: true);
        string open = tokenizer.ApplyChatTemplate([new("user", "hi \"é\"")], true)!;
        Assert.AreEqual("<|im_start|>user\nhi \"é\"<|im_end|>\n<|im_start|>assistant\n", open);
        Assert.AreEqual("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n", tokenizer.ApplyChatTemplate([new("user", "hi"), new("assistant", "yo")], false));
        Assert.AreEqual(TurnBegin, tokenizer.Encode(open, special: true)[0]);
        using var plain = TestFiles.Temp();
        Assert.IsNull(Make(plain, true).ApplyChatTemplate([new("user", "hi")], true));
    }

    [TestMethod]
    public void Missing_and_broken_files_are_one_sentence()
    {
        using var temp = TestFiles.Temp();
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Tokenizer.Open(temp["nowhere"])).Message, "There is no tokenizer");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Tokenizer.Open(temp.Path)).Message, "neither tokenizer.json nor tokenizer.model");
        File.WriteAllText(temp["tokenizer.json"], "{");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Tokenizer.Open(temp.Path)).Message, "is not JSON");
        File.WriteAllText(temp["tokenizer.json"], "{}");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Tokenizer.Open(temp.Path)).Message, "model.vocab");
        File.WriteAllText(temp["tokenizer.json"], """{"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}""");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Tokenizer.Open(temp.Path)).Message, "ONNX Runtime Extensions");
    }

    [TestMethod]
    public void Every_specification_opens_its_own_kind()
    {
        using var temp = TestFiles.Temp();
        using var folder = Make(temp, true);
        Assert.IsInstanceOfType<HuggingFaceTokenizer>(Tokenizer.Open(temp["t/tokenizer.json"]));
        Assert.IsInstanceOfType<ByteTokenizer>(Tokenizer.Open("bytes"));
        Assert.IsNull(Tokenizer.Open("none"));
        Directory.CreateDirectory(temp["sp"]);
        File.WriteAllBytes(temp["sp/tokenizer.model"], SentencePieceFile.Model([("<unk>", 0, 2), ("a", 0, 1)], 2));
        Assert.IsInstanceOfType<SentencePieceTokenizer>(Tokenizer.Open(temp["sp"]));
    }

    [TestMethod]
    public void Bytes_are_their_own_ids()
    {
        var tokenizer = new ByteTokenizer();
        CollectionAssert.AreEqual(new[] { 97, 195, 169 }, tokenizer.Encode("aé"));
        CollectionAssert.AreEqual(new[] { 256, 97 }, tokenizer.Encode("<s>a", special: true));
        Assert.AreEqual("aé", tokenizer.Decode([256, 97, 195, 169, 257, 258]));
        Assert.AreEqual("\uFFFD", tokenizer.Decode([195]));
        Assert.AreEqual((259, 256, 257, 258), (tokenizer.VocabularySize, tokenizer.BeginId, tokenizer.EndId, tokenizer.PadId));
    }

    private static ITokenizer Make(TempFolder temp, bool addsBegin, bool chat = false)
    {
        TokenizerFolder.Write(temp["t"], addsBegin, chat, merges);
        return Tokenizer.Open(temp["t"])!;
    }
}
