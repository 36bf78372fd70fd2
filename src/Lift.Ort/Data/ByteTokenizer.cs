using System.Text;

namespace Lift.Ort.Data;

/// <summary>
/// Every byte of the UTF-8 text is a token: ids 0 to 255 are the bytes themselves, 256 begins a sequence, 257 ends it, 258 pads.
/// A model for it has a vocabulary of at least 259.
/// </summary>
public sealed class ByteTokenizer : ITokenizer
{
    public const int Begin = 256, End = 257, Pad = 258;

    public string Name => "bytes";

    public int VocabularySize => 259;

    public int? BeginId => Begin;

    public int? EndId => End;

    public int? PadId => Pad;

    public IReadOnlyList<int> Prefix { get; } = [Begin];

    public IReadOnlyList<int> Suffix { get; } = [End];

    /// <summary>One id per byte; with <paramref name="special"/> a leading <c>&lt;s&gt;</c> is <see cref="Begin"/>.</summary>
    public int[] Encode(string text, bool special = false)
    {
        const string begin = "<s>";
        if (special && text.StartsWith(begin, StringComparison.Ordinal)) return [Begin, .. Encode(text[begin.Length..])];
        return Array.ConvertAll(Encoding.UTF8.GetBytes(text), b => (int)b);
    }

    public string Decode(ReadOnlySpan<int> ids)
    {
        byte[] bytes = new byte[ids.Length];
        int n = 0;
        foreach (int id in ids)
        {
            if (id is >= 0 and < 256) bytes[n++] = (byte)id;
        }
        return Encoding.UTF8.GetString(bytes, 0, n);
    }

    public string? ApplyChatTemplate(IReadOnlyList<ChatMessage> messages, bool generationPrompt) => null;

    public void Dispose() { }
}
