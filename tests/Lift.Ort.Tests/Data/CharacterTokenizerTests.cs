using Lift.Ort.Data;

namespace Lift.Ort.Tests.Data;

[TestClass]
public sealed class CharacterTokenizerTests
{
    [TestMethod]
    public void Letters_have_ids_and_words_a_bar_between_them()
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["vocab.json"], """{"<pad>":0,"<unk>":3,"|":4,"E":5,"T":6,"é":7}""");
        using ITokenizer tokenizer = Tokenizer.Open(temp.Path)!;
        CollectionAssert.AreEqual(new[] { 6, 5, 4, 7, 3 }, tokenizer.Encode(" te éx "));
        Assert.AreEqual("TE é", tokenizer.Decode([6, 5, 4, 7, 3, 0]));
        Assert.AreEqual((0, 8), (tokenizer.PadId!.Value, tokenizer.VocabularySize));
    }

    [TestMethod]
    [DataRow("[1]", "is no vocabulary of letters")]
    [DataRow("{}", "is an empty vocabulary")]
    public void Another_file_is_refused(string json, string said)
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["vocab.json"], json);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Tokenizer.Open(temp["vocab.json"])).Message, said);
        File.WriteAllText(temp["vocab.json"], """{"a":1}""");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Tokenizer.Open(temp["vocab.json"])!.Encode("ab")).Message, "no id for the letter 'b'");
    }
}
