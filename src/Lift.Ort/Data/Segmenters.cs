using System.Text;

namespace Lift.Ort.Data;

/// <summary>A piece of a normalized text: where it lies, and its id, or −1 for a character that no piece covers.</summary>
internal readonly record struct Segment(int Start, int Length, int Id);

internal interface ISegmenter
{
    List<Segment> Segment(string text);
}

/// <summary>Merges the neighbours whose joint piece scores highest, leftmost first among equals, until no pair is a piece (Sennrich et al. 2016).</summary>
internal sealed class BpeSegmenter : ISegmenter
{
    private readonly SentencePieceModel model;
    private readonly PrefixMatcher userDefined;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> pieces;

    public BpeSegmenter(SentencePieceModel model, PrefixMatcher userDefined)
    {
        (this.model, this.userDefined) = (model, userDefined);
        pieces = PieceTable.Of(model).GetAlternateLookup<ReadOnlySpan<char>>();
    }

    public List<Segment> Segment(string text)
    {
        var symbols = Characters(text);
        var agenda = new PriorityQueue<(int Left, int Right, int Length), (float, int)>();
        Dictionary<(int, int), int>? splits = null; // start and length of an unused piece → length of its left half
        for (int i = 1; i < symbols.Count; i++) Offer(i - 1, i);

        while (agenda.TryDequeue(out var pair, out _))
        {
            Symbol left = symbols[pair.Left], right = symbols[pair.Right];
            if (left.Length == 0 || right.Length == 0 || left.Length + right.Length != pair.Length) continue; // one of them was merged meanwhile
            symbols[pair.Left] = left with { Length = pair.Length, Next = right.Next };
            symbols[pair.Right] = right with { Length = 0 };
            if (right.Next >= 0) symbols[right.Next] = symbols[right.Next] with { Previous = pair.Left };
            if (left.Previous >= 0) Offer(left.Previous, pair.Left);
            if (right.Next >= 0) Offer(pair.Left, right.Next);
        }

        var result = new List<Segment>();
        for (int i = symbols.Count > 0 ? 0 : -1; i >= 0; i = symbols[i].Next) Emit(symbols[i].Start, symbols[i].Length);
        return result;

        void Offer(int left, int right)
        {
            Symbol a = symbols[left], b = symbols[right];
            if (a.Frozen || b.Frozen || !pieces.TryGetValue(text.AsSpan(a.Start, a.Length + b.Length), out int id)) return;
            agenda.Enqueue((left, right, a.Length + b.Length), (-model.Pieces[id].Score, left));
            if (model.Pieces[id].Kind == PieceKind.Unused) (splits ??= [])[(a.Start, a.Length + b.Length)] = a.Length;
        }

        // An unused piece serves as a step of merging only: what is left of it is taken apart again.
        void Emit(int start, int length)
        {
            int id = pieces.TryGetValue(text.AsSpan(start, length), out int found) ? found : -1;
            if (id >= 0 && model.Pieces[id].Kind == PieceKind.Unused && splits is not null && splits.TryGetValue((start, length), out int half))
            {
                Emit(start, half);
                Emit(start + half, length - half);
            }
            else result.Add(new Segment(start, length, id));
        }
    }

    private List<Symbol> Characters(string text)
    {
        var symbols = new List<Symbol>(text.Length);
        for (int at = 0; at < text.Length;)
        {
            int whole = userDefined.Longest(text, at), length = whole > 0 ? whole : PieceTable.CharacterLength(text, at);
            symbols.Add(new Symbol(at, length, symbols.Count - 1, at + length < text.Length ? symbols.Count + 1 : -1, whole > 0));
            at += length;
        }
        return symbols;
    }

    private readonly record struct Symbol(int Start, int Length, int Previous, int Next, bool Frozen);
}

/// <summary>Takes the segmentation of highest total score (Viterbi; Kudo 2018). A character without a piece costs 10 more than the worst piece.</summary>
internal sealed class UnigramSegmenter : ISegmenter
{
    private const float UnknownPenalty = 10;

    private readonly SentencePieceModel model;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> pieces;
    private readonly int longest;
    private readonly float unknownScore, bestScore;

    public UnigramSegmenter(SentencePieceModel model)
    {
        this.model = model;
        var table = PieceTable.Of(model);
        pieces = table.GetAlternateLookup<ReadOnlySpan<char>>();
        longest = table.Keys.Select(k => k.Length).DefaultIfEmpty(1).Max();
        float[] scores = [.. model.Pieces.Where(p => p.Kind == PieceKind.Normal).Select(p => p.Score).DefaultIfEmpty(0)];
        (unknownScore, bestScore) = (scores.Min() - UnknownPenalty, scores.Max());
    }

    public List<Segment> Segment(string text)
    {
        var best = new (float Score, int Start, int Id)[text.Length + 1];
        Array.Fill(best, (0, -1, -1), 1, text.Length);
        for (int start = 0; start < text.Length; start += PieceTable.CharacterLength(text, start))
        {
            int character = PieceTable.CharacterLength(text, start);
            bool covered = false;
            for (int length = character, limit = Math.Min(longest, text.Length - start); length <= limit; length++)
            {
                if (!pieces.TryGetValue(text.AsSpan(start, length), out int id) || model.Pieces[id].Kind == PieceKind.Unused) continue;
                covered |= length == character;
                Reach(start, length, Score(id), id);
            }
            if (!covered) Reach(start, character, unknownScore, -1);
        }

        var result = new List<Segment>();
        for (int end = text.Length; end > 0; end = best[end].Start) result.Add(new Segment(best[end].Start, end - best[end].Start, best[end].Id));
        result.Reverse();
        return result;

        void Reach(int start, int length, float score, int id)
        {
            float total = best[start].Score + score;
            if (best[start + length].Start < 0 || total > best[start + length].Score) best[start + length] = (total, start, id);
        }
    }

    /// <summary>User-defined symbols win against every segmentation of the same characters.</summary>
    private float Score(int id) => model.Pieces[id].Kind == PieceKind.UserDefined
        ? Encoding.UTF8.GetByteCount(model.Pieces[id].Text) * bestScore - 0.1f
        : model.Pieces[id].Score;
}

/// <summary>What both segmenters look pieces up in.</summary>
internal static class PieceTable
{
    public static Dictionary<string, int> Of(SentencePieceModel model)
    {
        var table = new Dictionary<string, int>(model.Pieces.Count);
        for (int id = 0; id < model.Pieces.Count; id++)
        {
            if (model.Pieces[id].Kind is PieceKind.Normal or PieceKind.UserDefined or PieceKind.Unused) table.TryAdd(model.Pieces[id].Text, id);
        }
        return table;
    }

    /// <summary>UTF-16 units of the character at a place: 2 for a surrogate pair.</summary>
    public static int CharacterLength(string text, int at) => char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]) ? 2 : 1;
}
