using System.Text.RegularExpressions;
using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Decoders;

/// <summary>A cache input of a decoder: keys, values or a state of one layer, and where its batch and its past lie.</summary>
/// <param name="BatchAxis">The axis that grows with the batch; in some layouts it is batch times heads.</param>
/// <param name="PastAxis">The axis of what came before; −1 for a state of fixed size, which is zeros at first.</param>
/// <param name="Present">The output that gives the next step's value; null where none is recognised.</param>
internal sealed partial record CacheEntry(GraphValue Past, int BatchAxis, int PastAxis, string? Present)
{
    /// <summary>Words of a name that say whether the value comes or goes.</summary>
    private static readonly HashSet<string> directions = ["past", "pasts", "present", "presents", "cache", "caches", "cached", "new", "next", "updated", "input", "output", "in", "out"];

    /// <summary>True for an input that holds what a decoder computed before: <c>past_key_values.0.key</c>, <c>past_0</c>, <c>cache.k.0</c> and the like.</summary>
    public static bool IsPast(GraphValue input) => input.Type.Rank is null or >= 2 && PastName().IsMatch(input.Name) && (input.Type.Rank >= 3 || StateName().IsMatch(input.Name));

    /// <summary>True for a cache of keys and values, which goes over tokens; false for states.</summary>
    public static bool IsOfTokens(string name) => KeyName().IsMatch(name);

    /// <summary>What the cache is as long as before anything was read: 0; the buffer's or window's own length; null for a buffer that is as long as one makes it, and for states.</summary>
    public long? FirstLength => Past.Role is InputRole.Buffer or InputRole.Window ? Length : PastAxis < 0 ? null : 0;

    /// <summary>True for a cache that begins as zeros of its full length, whatever is in it.</summary>
    public bool IsWhole => Past.Role is InputRole.Buffer or InputRole.Window;

    private long? Length => PastAxis < 0 ? null : Past.Type.Shape?[PastAxis].Value;

    /// <summary>True for keys and values that a decoder took from its encoder.</summary>
    public static bool IsOfEncoder(string name) => EncoderName().IsMatch(name);

    /// <summary>The cache of a model, each past with its present.</summary>
    public static IReadOnlyList<CacheEntry> Find(IReadOnlyList<GraphValue> inputs, IReadOnlyList<GraphValue> outputs)
    {
        GraphValue[] pasts = [.. inputs.Where(IsPast)];
        if (pasts.Length == 0) return [];
        Dim batch = ReferenceInput(inputs)?.Type.Shape is { Rank: > 0 } s ? s[0] : Dim.Unknown;
        Dictionary<string, string?> presents = Pair(pasts, outputs);
        return [.. pasts.Select(p => Of(p, batch, presents.GetValueOrDefault(p.Name)))];
    }

    /// <summary>The input whose first axis is the batch: token ids, else embeddings, else anything that is no cache.</summary>
    public static GraphValue? ReferenceInput(IReadOnlyList<GraphValue> inputs) =>
        inputs.FirstOrDefault(i => i.Name is "input_ids" or "decoder_input_ids")
        ?? inputs.FirstOrDefault(i => i.Type is { Element: ElementType.Int64 or ElementType.Int32, Rank: 2 } && i.Name is not ("attention_mask" or "position_ids" or "token_type_ids"))
        ?? inputs.FirstOrDefault(i => i.Name == "inputs_embeds")
        ?? inputs.FirstOrDefault(i => i.Type.Rank >= 1 && !IsPast(i) && i.Name != "use_cache_branch");

    private static CacheEntry Of(GraphValue past, Dim batch, string? present)
    {
        if (past.Type.Shape is not { } shape) return new(past, 0, -1, present);
        int[] open = [.. Enumerable.Range(0, shape.Rank).Where(i => !shape[i].IsKnown)];
        int joined = shape.Rank == 5 && shape[0].Value == 2 ? 1 : 0; // keys and values in one tensor
        int batchAxis = First(open, i => batch.Symbol is not null && shape[i].Symbol == batch.Symbol)
            ?? First(open, i => shape[i].Symbol?.Contains("batch", StringComparison.OrdinalIgnoreCase) == true)
            ?? First([.. Enumerable.Range(joined, shape.Rank - joined)], i => batch.Value is { } size && shape[i].Value == size)
            ?? (joined == 1 ? 1 : open.FirstOrDefault(0));
        int[] rest = [.. open.Where(i => i != batchAxis)];
        int pastAxis = First(rest, i => LengthName().IsMatch(shape[i].Symbol ?? "")) ?? -1;
        if (pastAxis < 0) pastAxis = rest.Length == 0 ? -1 : rest.Contains(shape.Rank - 2) ? shape.Rank - 2 : rest[^1];
        if (pastAxis < 0 && IsOfTokens(past.Name)) pastAxis = Math.Max(shape.Rank - 2, batchAxis == 0 ? 1 : 0); // a fixed length: where it usually is
        return new(past, batchAxis, pastAxis, present);
    }

    private static int? First(int[] axes, Func<int, bool> fits) => axes.Where(fits).Cast<int?>().FirstOrDefault();

    /// <summary>past_key_values.0.key → present.0.key: equal in all that does not say whether it comes or goes; else in order, where there are as many of a type.</summary>
    private static Dictionary<string, string?> Pair(GraphValue[] pasts, IReadOnlyList<GraphValue> outputs)
    {
        var bySignature = outputs.GroupBy(o => Signature(o.Name)).Where(g => g.Count() == 1).ToDictionary(g => g.Key, g => g.First().Name);
        var pairs = pasts.ToDictionary(p => p.Name, p => bySignature.GetValueOrDefault(Signature(p.Name)));
        if (pairs.Values.All(v => v is not null) && pairs.Values.Distinct().Count() == pasts.Length) return pairs;
        GraphValue[] others = [.. outputs.Where(o => o.Type.Rank >= 3 && PresentName().IsMatch(o.Name))];
        return others.Length == pasts.Length ? pasts.Zip(others).ToDictionary(p => p.First.Name, p => (string?)p.Second.Name) : pasts.ToDictionary(p => p.Name, _ => (string?)null);
    }

    private static string Signature(string name) =>
        string.Join('.', name.ToLowerInvariant().Replace("key_values", "").Split(['.', '_', '/', ':'], StringSplitOptions.RemoveEmptyEntries).Where(w => !directions.Contains(w)));

    [GeneratedRegex(@"^pasts?([._\d]|$)|(^|[._])(kv_?|k_?|v_?|key_?|value_?)?cache([._]|$)|^(conv|ssm|recurrent|rnn)_?states?([._]|$)", RegexOptions.IgnoreCase)]
    private static partial Regex PastName();

    [GeneratedRegex(@"conv|ssm|state", RegexOptions.IgnoreCase)]
    private static partial Regex StateName();

    [GeneratedRegex(@"key|value|past_\d|kv|[._][kv]([._]|$)", RegexOptions.IgnoreCase)]
    private static partial Regex KeyName();

    [GeneratedRegex(@"past|present|cache|state|^out", RegexOptions.IgnoreCase)]
    private static partial Regex PresentName();

    [GeneratedRegex(@"encoder|cross", RegexOptions.IgnoreCase)]
    private static partial Regex EncoderName();

    [GeneratedRegex(@"past|seq|len|time|total|cache", RegexOptions.IgnoreCase)]
    private static partial Regex LengthName();
}
