namespace Lift.Ort.Data;

/// <summary>Turns text into token ids and back. Open one with <see cref="Tokenizer.Open"/>.</summary>
public interface ITokenizer : IDisposable
{
    /// <summary>The specification it was opened from: a path, or "bytes".</summary>
    string Name { get; }

    /// <summary>Number of ids: every id lies in 0 … VocabularySize − 1.</summary>
    int VocabularySize { get; }

    /// <summary>Begin-of-sequence id, or null where the vocabulary has none.</summary>
    int? BeginId { get; }

    /// <summary>End-of-sequence id, or null where the vocabulary has none.</summary>
    int? EndId { get; }

    /// <summary>Padding id, or null where the vocabulary has none (batches are then padded with 0; the mask and the labels −100 hide it).</summary>
    int? PadId { get; }

    /// <summary>The ids that this tokenizer's models expect before a text: the begin-of-sequence id, or nothing.</summary>
    IReadOnlyList<int> Prefix { get; }

    /// <summary>The ids that this tokenizer's models expect after a text that is whole (BERT's <c>[SEP]</c>), or nothing. Not used for text to be continued.</summary>
    IReadOnlyList<int> Suffix { get; }

    /// <summary>The ids of <paramref name="text"/>, nothing put before or after it.</summary>
    /// <param name="special">True reads special tokens that are spelt out in the text (<c>&lt;s&gt;</c>, <c>&lt;|im_start|&gt;</c>) as their ids; false, where the tokenizer can tell, as plain text.</param>
    int[] Encode(string text, bool special = false);

    /// <summary>Two texts as one row, the way this tokenizer's models read them, and the segment (0 or 1) of each token.</summary>
    (int[] Ids, int[] Segments) Pair(int[] first, int[] second)
    {
        int head = Prefix.Count + first.Length + Suffix.Count, tail = second.Length + Suffix.Count;
        return ([.. Prefix, .. first, .. Suffix, .. second, .. Suffix], [.. Enumerable.Repeat(0, head), .. Enumerable.Repeat(1, tail)]);
    }

    /// <summary>The text of <paramref name="ids"/>; special tokens are left out, invalid UTF-8 becomes U+FFFD.</summary>
    string Decode(ReadOnlySpan<int> ids);

    /// <summary>The conversation as one text by the tokenizer's own chat template, or null where it has none.</summary>
    /// <param name="generationPrompt">True ends the text where the assistant's next message begins.</param>
    string? ApplyChatTemplate(IReadOnlyList<ChatMessage> messages, bool generationPrompt);
}

/// <summary>One turn of a conversation.</summary>
/// <param name="Role">"system", "user", "assistant", …</param>
public sealed record ChatMessage(string Role, string Content);
