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
