using Lift.Ort.Data;

namespace Lift.Ort.Generation;

/// <summary>Decodes tokens one at a time into text that never has to be taken back: bytes wait until their character is whole.</summary>
/// <param name="context">Tokens before the first one, so that a space between them is not lost.</param>
public sealed class StreamDecoder(ITokenizer tokenizer, IEnumerable<int> context)
{
    private readonly List<int> pending = [.. context];
    private string given = tokenizer.Decode([.. context]);

    /// <summary>The text that <paramref name="token"/> adds, "" while a character is incomplete.</summary>
    public string Add(int token)
    {
        pending.Add(token);
        string text = tokenizer.Decode([.. pending]);
        if (text.EndsWith('\uFFFD') || text.Length < given.Length) return "";
        string added = text[given.Length..];
        // Only the last tokens are needed as context; without this a long text would be decoded over and over.
        if (added.Length > 0 && pending.Count > 16)
        {
            pending.RemoveRange(0, pending.Count - 4);
            text = tokenizer.Decode([.. pending]);
        }
        given = text;
        return added;
    }

    /// <summary>What is left at the end: a character that was never completed, as U+FFFD.</summary>
    public string Finish()
    {
        string text = tokenizer.Decode([.. pending]);
        return text.Length > given.Length ? text[given.Length..] : "";
    }
}
