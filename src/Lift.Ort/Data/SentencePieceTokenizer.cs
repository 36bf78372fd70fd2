using System.Globalization;
using System.Text;

namespace Lift.Ort.Data;

/// <summary>Encodes and decodes as SentencePiece does (Kudo and Richardson 2018), from its <c>.model</c> file: unigram and BPE, byte fallback, user-defined symbols.</summary>
public sealed class SentencePieceTokenizer : ITokenizer
{
    /// <summary>How pieces write a space: U+2581.</summary>
    internal const char Space = '\u2581';

    private const int CachedWords = 1 << 16;

    private readonly SentencePieceModel model;
    private readonly SentencePieceNormalizer normalizer;
    private readonly ISegmenter segmenter;
    private readonly PrefixMatcher controls;
    private readonly Dictionary<string, int> ids = [];
    private readonly int unknown;
    private readonly int[] bytes; // id of each byte piece, −1 where there is none
    private readonly byte?[] byteOf;
    private readonly bool wordsStandAlone;
    private readonly Dictionary<string, int[]> cache = [];

    /// <param name="path">A file that <c>spm_train</c> wrote.</param>
    /// <exception cref="LiftException">The file is no SentencePiece model.</exception>
    public SentencePieceTokenizer(string path)
    {
        Name = path;
        model = SentencePieceModel.Read(path);
        for (int id = 0; id < model.Pieces.Count; id++) ids.TryAdd(model.Pieces[id].Text, id);
        unknown = model.Pieces.FindIndex(p => p.Kind == PieceKind.Unknown);
        byteOf = [.. model.Pieces.Select(p => p.Kind == PieceKind.Byte && p.Text.Length == 6 ? byte.Parse(p.Text.AsSpan(3, 2), NumberStyles.HexNumber) : (byte?)null)];
        bytes = [.. Enumerable.Range(0, 256).Select(b => Array.IndexOf(byteOf, (byte?)b))];

        var userDefined = new PrefixMatcher(model.Pieces.Where(p => p.Kind == PieceKind.UserDefined).Select(p => p.Text));
        controls = new PrefixMatcher(model.Pieces.Where(p => p.Kind is PieceKind.Control).Select(p => p.Text));
        normalizer = new SentencePieceNormalizer(model, userDefined);
        segmenter = model.ModelType == 2 ? new BpeSegmenter(model, userDefined) : new UnigramSegmenter(model);
        // Where no piece runs over the start of a word, each word has the same pieces wherever it stands, and may be remembered.
        wordsStandAlone = !model.WhitespaceAsSuffix && model.Pieces.TrueForAll(p => p.Kind is not (PieceKind.Normal or PieceKind.UserDefined or PieceKind.Unused) || !CrossesWords(p.Text));

        BeginId = Control(model.BeginPiece);
        EndId = Control(model.EndPiece);
        PadId = Control(model.PadPiece);
        Prefix = BeginId is { } begin ? [begin] : [];
    }

    public string Name { get; }

    public int VocabularySize => model.Pieces.Count;

    public int? BeginId { get; }

    public int? EndId { get; }

    public int? PadId { get; }

    public IReadOnlyList<int> Prefix { get; }

    public IReadOnlyList<int> Suffix => EndId is { } end ? [end] : [];

    public int[] Encode(string text, bool special = false)
    {
        var result = new List<int>(text.Length / 3 + 4);
        int start = 0;
        for (int i = 0; special && i < text.Length; i++)
        {
            int length = controls.Longest(text, i);
            if (length == 0) continue;
            EncodeTo(result, text[start..i]);
            result.Add(ids[text.Substring(i, length)]);
            start = i + length;
            i = start - 1;
        }
        EncodeTo(result, start == 0 ? text : text[start..]);
        return [.. result];
    }

    public string Decode(ReadOnlySpan<int> ids)
    {
        var text = new StringBuilder();
        var pending = new List<byte>();
        bool atStart = model.AddDummyPrefix || model.RemoveExtraWhitespaces;
        foreach (int id in ids)
        {
            if (id < 0 || id >= model.Pieces.Count) continue;
            if (byteOf[id] is { } b)
            {
                pending.Add(b);
                atStart = false;
                continue;
            }
            Flush();
            var piece = model.Pieces[id];
            if (piece.Kind == PieceKind.Control) continue;
            ReadOnlySpan<char> surface = piece.Kind == PieceKind.Unknown ? model.UnknownSurface : piece.Text;
            if (atStart && surface.StartsWith(Space))
            {
                surface = surface[1..];
                atStart = model.RemoveExtraWhitespaces;
            }
            foreach (char c in surface) text.Append(c == Space ? ' ' : c);
            atStart &= surface.Length == 0;
        }
        Flush();
        return text.ToString();

        void Flush()
        {
            if (pending.Count > 0) text.Append(Encoding.UTF8.GetString([.. pending]));
            pending.Clear();
        }
    }

    public string? ApplyChatTemplate(IReadOnlyList<ChatMessage> messages, bool generationPrompt) => null;

    public void Dispose() { }

    private void EncodeTo(List<int> result, string text)
    {
        string normalized = normalizer.Normalize(text);
        int from = result.Count;
        if (!wordsStandAlone) AddIds(result, normalized);
        else
        {
            for (int start = 0, end; start < normalized.Length; start = end)
            {
                for (end = start + 1; end < normalized.Length && !(normalized[end] == Space && normalized[end - 1] != Space); end++) { }
                result.AddRange(Word(normalized[start..end]));
            }
        }
        if (!model.ByteFallback) JoinUnknown(result, from);
    }

    private int[] Word(string word)
    {
        lock (cache)
        {
            if (cache.TryGetValue(word, out int[]? known)) return known;
        }
        var list = new List<int>();
        AddIds(list, word);
        lock (cache)
        {
            if (cache.Count >= CachedWords) cache.Clear();
            return cache[word] = [.. list];
        }
    }

    private void AddIds(List<int> result, string text)
    {
        foreach (var (start, length, id) in segmenter.Segment(text))
        {
            if (id >= 0) result.Add(id);
            else if (!model.ByteFallback) result.Add(unknown);
            else foreach (byte b in Encoding.UTF8.GetBytes(text, start, length)) result.Add(bytes[b] >= 0 ? bytes[b] : unknown);
        }
    }

    /// <summary>A run of unknown characters is one unknown token.</summary>
    private void JoinUnknown(List<int> result, int from)
    {
        int kept = from;
        for (int i = from; i < result.Count; i++)
        {
            if (i > from && result[i] == unknown && result[i - 1] == unknown && kept > from && result[kept - 1] == unknown) continue;
            result[kept++] = result[i];
        }
        result.RemoveRange(kept, result.Count - kept);
    }

    private int? Control(string piece) => ids.TryGetValue(piece, out int id) && model.Pieces[id].Kind == PieceKind.Control ? id : null;

    private static bool CrossesWords(string piece)
    {
        for (int i = 1; i < piece.Length; i++)
        {
            if (piece[i] == Space && piece[i - 1] != Space) return true;
        }
        return false;
    }
}
