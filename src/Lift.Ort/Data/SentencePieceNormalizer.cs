using System.Buffers.Binary;
using System.Text;

namespace Lift.Ort.Data;

/// <summary>
/// Brings text into the form that pieces are matched against: replacements of the model's own character map (nmt_nfkc and its like),
/// white space collapsed where the model asks for it, spaces written as U+2581.
/// </summary>
internal sealed class SentencePieceNormalizer(SentencePieceModel model, PrefixMatcher userDefined)
{
    private readonly uint[] trie = Trie(model.CharsMap);
    private readonly byte[] replacements = model.CharsMap.Length > 4 ? model.CharsMap[(4 + (int)BinaryPrimitives.ReadUInt32LittleEndian(model.CharsMap))..] : [];

    private char Space => model.EscapeWhitespaces ? SentencePieceTokenizer.Space : ' ';

    public string Normalize(string text)
    {
        string mapped = trie.Length > 0 ? Replace(text) : text;
        bool trim = model.RemoveExtraWhitespaces;
        var result = new StringBuilder(mapped.Length + 1);
        bool afterSpace = trim;
        foreach (char c in mapped)
        {
            if (c == ' ' && afterSpace) continue;
            result.Append(c == ' ' ? Space : c);
            afterSpace = trim && c == ' ';
        }
        while (trim && result.Length > 0 && result[^1] == Space) result.Length--;
        if (result.Length == 0) return "";
        if (model.AddDummyPrefix) _ = model.WhitespaceAsSuffix ? result.Append(Space) : result.Insert(0, Space);
        return result.ToString();
    }

    /// <summary>At each place the longest rule of the character map; user-defined symbols stay as they are.</summary>
    private string Replace(string text)
    {
        byte[] input = Encoding.UTF8.GetBytes(text);
        var output = new MemoryStream(input.Length + 16);
        for (int at = 0, chars = 0; at < input.Length;)
        {
            int symbol = userDefined.Longest(text, chars);
            if (symbol > 0)
            {
                output.Write(Encoding.UTF8.GetBytes(text, chars, symbol));
                Advance(Encoding.UTF8.GetByteCount(text.AsSpan(chars, symbol)));
                continue;
            }
            var (length, value) = LongestRule(input.AsSpan(at));
            if (length > 0)
            {
                var replacement = replacements.AsSpan(value);
                output.Write(replacement[..replacement.IndexOf((byte)0)]);
            }
            else
            {
                Rune.DecodeFromUtf8(input.AsSpan(at), out _, out length);
                output.Write(input.AsSpan(at, length));
            }
            Advance(length);

            void Advance(int bytes)
            {
                chars += Encoding.UTF8.GetCharCount(input, at, bytes);
                at += bytes;
            }
        }
        return Encoding.UTF8.GetString(output.GetBuffer(), 0, (int)output.Length);
    }

    /// <summary>Walks the double array (darts-clone's unit layout): label in bits 0-7, leaf flag in 8, offset from bit 10, scaled by 256 when bit 9 is set.</summary>
    private (int Length, int Value) LongestRule(ReadOnlySpan<byte> input)
    {
        (int, int) longest = (0, 0);
        uint node = Offset(trie[0]);
        for (int i = 0; i < input.Length; i++)
        {
            node ^= input[i];
            if (node >= trie.Length) break;
            uint unit = trie[node];
            if ((unit & (1u << 31 | 0xFF)) != input[i]) break;
            node ^= Offset(unit);
            if ((unit >> 8 & 1) != 0 && node < trie.Length) longest = (i + 1, (int)(trie[node] & 0x7FFFFFFF));
        }
        return longest;
    }

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & (1u << 9)) >> 6);

    private static uint[] Trie(byte[] charsMap)
    {
        if (charsMap.Length <= 4) return [];
        int bytes = (int)BinaryPrimitives.ReadUInt32LittleEndian(charsMap);
        if (bytes < 4 || bytes > charsMap.Length - 4) throw new LiftException($"The tokenizer's character map is broken: it announces {bytes} bytes of {charsMap.Length - 4}; get the .model file again.");
        uint[] units = new uint[bytes / 4];
        for (int i = 0; i < units.Length; i++) units[i] = BinaryPrimitives.ReadUInt32LittleEndian(charsMap.AsSpan(4 + 4 * i));
        return units;
    }
}

/// <summary>Finds the longest of some strings at a place in a text.</summary>
internal sealed class PrefixMatcher
{
    private readonly HashSet<string> strings;
    private readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> lookup;
    private readonly ILookup<char, int> lengths; // by first character, longest first

    public PrefixMatcher(IEnumerable<string> strings)
    {
        this.strings = [.. strings.Where(s => s.Length > 0)];
        lookup = this.strings.GetAlternateLookup<ReadOnlySpan<char>>();
        lengths = this.strings.Select(s => (s[0], s.Length)).Distinct().OrderByDescending(p => p.Length).ToLookup(p => p.Item1, p => p.Length);
    }

    public bool IsEmpty => strings.Count == 0;

    /// <summary>Length in characters, 0 for none.</summary>
    public int Longest(string text, int start)
    {
        if (IsEmpty) return 0;
        foreach (int length in lengths[text[start]])
        {
            if (start + length <= text.Length && lookup.Contains(text.AsSpan(start, length))) return length;
        }
        return 0;
    }
}
