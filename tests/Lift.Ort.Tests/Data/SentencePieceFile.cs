using System.Text;
using Google.Protobuf;

namespace Lift.Ort.Tests.Data;

/// <summary>Writes small SentencePiece models: the ones that <c>sentencepiece.json</c> holds the real library's answers for.</summary>
internal static class SentencePieceFile
{
    private const char S = '\u2581';
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6;

    private static readonly (string, float, int)[] start = [("<unk>", 0, Unknown), ("<s>", 0, Control), ("</s>", 0, Control)];
    private static readonly (string, float, int)[] bytes = [.. Enumerable.Range(0, 256).Select(b => ($"<0x{b:X2}>", 0f, Byte))];

    private static readonly (string, float, int)[] unigram =
    [
        ($"{S}", -3, Normal), ($"{S}the", -4, Normal), ($"{S}th", -5.5f, Normal), ("e", -3.5f, Normal), ("t", -4, Normal), ("h", -4.2f, Normal), ($"{S}cat", -6, Normal),
        ("c", -5, Normal), ("a", -4, Normal), ("s", -4, Normal), ("at", -4.9f, Normal), ("ats", -6, Normal), ("sat", -7, Normal), ("f", -5, Normal), ("i", -4.5f, Normal),
        ("fi", -6, Normal), ("n", -4, Normal), ("d", -5, Normal), ("A", -6, Normal), ("re", -5, Unused), ("r", -5, Normal), ("<x>", 0, UserDefined), ($"{S}{S}", -4, Normal), ("é", -7, Normal),
    ];

    private static readonly (string, float, int)[] bpe =
    [
        ($"{S}t", 0, Normal), ("he", -1, Normal), ($"{S}the", -2, Normal), ("at", -3, Normal), ("re", -4, Unused), ("are", -5, Normal), ("ca", -6, Normal), ("in", -7, Normal),
        .. $"{S}thecasrfindA".Select((c, i) => (c.ToString(), -20f - i, Normal)), ("<x>", 0, UserDefined), ($"{S}{S}", -8, Normal),
    ];

    private static readonly Dictionary<string, string> rules = new()
    {
        ["\t"] = " ",
        ["\u3000"] = " ",
        ["ﬁ"] = "fi",
        ["Ａ"] = "A",
        ["e\u0301"] = "é",
        ["\u200b"] = "",
    };

    public static void Write(string path)
    {
        byte[] content = Path.GetFileName(path) switch
        {
            "uni.model" => Model([.. start, .. unigram], 1),
            "unimap.model" => Model([.. start, .. unigram], 1, map: CharsMap()),
            "unibyte.model" => Model([.. start, .. bytes, .. unigram], 1, byteFallback: true, trims: false),
            "bpe.model" => Model([.. start, .. bpe], 2, map: CharsMap()),
            "bpebyte.model" => Model([.. start, .. bytes, .. bpe], 2, byteFallback: true, trims: false),
            "bpesuffix.model" => Model([.. start, .. bpe, ($"e{S}", -1, Normal)], 2, suffix: true),
            var name => throw new ArgumentException(name),
        };
        File.WriteAllBytes(path, content);
    }

    public static byte[] Model((string Text, float Score, int Kind)[] pieces, int type, bool byteFallback = false, bool trims = true, bool suffix = false, byte[]? map = null) => Message(m =>
    {
        foreach (var piece in pieces)
        {
            Bytes(m, 1, Message(p =>
            {
                Bytes(p, 1, Encoding.UTF8.GetBytes(piece.Text));
                p.WriteTag(2, WireFormat.WireType.Fixed32);
                p.WriteFloat(piece.Score);
                Number(p, 3, piece.Kind);
            }));
        }
        Bytes(m, 2, Message(t =>
        {
            Number(t, 3, type);
            Number(t, 24, suffix ? 1 : 0);
            Number(t, 35, byteFallback ? 1 : 0);
        }));
        Bytes(m, 3, Message(n =>
        {
            Bytes(n, 2, map ?? []);
            Number(n, 4, trims ? 1 : 0);
        }));
    });

    /// <summary>A double array in darts-clone's layout with 256 places for every node, then the replacements, each ended by a zero byte.</summary>
    private static byte[] CharsMap()
    {
        var units = new Dictionary<int, uint> { [0] = 0 };
        var nodes = new Queue<(int Place, string Prefix)>([(0, "")]);
        var texts = new List<byte>();
        var keys = rules.ToDictionary(r => string.Concat(Encoding.UTF8.GetBytes(r.Key).Select(b => (char)b)), r => r.Value);
        int blocks = 1;
        while (nodes.TryDequeue(out var node))
        {
            int block = 256 * blocks++;
            units[node.Place] |= (uint)(node.Place ^ block) << 10;
            if (keys.TryGetValue(node.Prefix, out string? value))
            {
                units[node.Place] |= 1 << 8;
                units[block] = (uint)texts.Count | 1u << 31;
                texts.AddRange([.. Encoding.UTF8.GetBytes(value), 0]);
            }
            foreach (char next in keys.Keys.Where(k => k.Length > node.Prefix.Length && k.StartsWith(node.Prefix, StringComparison.Ordinal)).Select(k => k[node.Prefix.Length]).Distinct())
            {
                units[block ^ next] = next;
                nodes.Enqueue((block ^ next, node.Prefix + next));
            }
        }
        uint[] trie = [.. Enumerable.Range(0, 256 * blocks).Select(i => units.GetValueOrDefault(i))];
        return [.. BitConverter.GetBytes(trie.Length * 4), .. trie.SelectMany(BitConverter.GetBytes), .. texts];
    }

    private static byte[] Message(Action<CodedOutputStream> write)
    {
        using var memory = new MemoryStream();
        using (var output = new CodedOutputStream(memory, leaveOpen: true)) write(output);
        return memory.ToArray();
    }

    private static void Bytes(CodedOutputStream output, int field, byte[] value)
    {
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(value));
    }

    private static void Number(CodedOutputStream output, int field, int value)
    {
        output.WriteTag(field, WireFormat.WireType.Varint);
        output.WriteInt32(value);
    }
}
