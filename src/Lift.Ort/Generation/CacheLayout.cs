using Lift.Ort.Data;
using Lift.Ort.Lowering.ControlFlow;
using Lift.Ort.Lowering.Decoders;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Inference;

namespace Lift.Ort.Generation;

/// <summary>One tensor of a decoder's cache.</summary>
/// <param name="Dims">Its dimensions for a batch of one and an empty past; the batch axis holds how many rows of it one text takes (1, or the heads).</param>
/// <param name="GrownAxis">The axis of a buffer that is as long as one makes it; −1 elsewhere.</param>
internal sealed record CacheSlot(string Past, string Present, ElementType Type, int BatchAxis, long[] Dims, int GrownAxis = -1)
{
    /// <summary>Keys and values of the encoder, which the first pass computes and later ones leave as they are.</summary>
    public bool IsOfEncoder => CacheEntry.IsOfEncoder(Past);

    public long RowsPerText => Dims[BatchAxis];

    /// <summary>The dimensions of an empty past for <paramref name="texts"/> texts.</summary>
    /// <param name="room">Tokens that a buffer shall hold which is as long as one makes it.</param>
    public long[] Empty(int texts, int room) => [.. Dims.Select((d, i) => i == BatchAxis ? d * texts : i == GrownAxis ? room : d)];
}

/// <summary>What is known of a model's cache: names and shapes say how it is meant, a first step says whether it is so. Null: not tried yet.</summary>
internal sealed class CacheTrust
{
    /// <summary>Whether the cache works for texts of one length.</summary>
    public bool? Works { get; set; }

    /// <summary>Whether it works with padding among the past.</summary>
    public bool? WorksPadded { get; set; }
}

/// <summary>How a model keeps what it computed: the tensors that go from one step into the next.</summary>
/// <param name="Tolerance">How far scores from the cache may be from those of a forward pass, relative to the largest: more in 16 bits, and where activations are quantised by their range.</param>
/// <param name="Padded">True where texts of different lengths may lie in one batch: the model is told which places hold tokens, and which position each token has.</param>
/// <param name="Room">Tokens that a buffer of fixed length holds; null where there is none.</param>
/// <param name="Grown">True for buffers that are as long as one makes them.</param>
/// <param name="Compact">True where each row is written behind its own last token, padding or not.</param>
internal sealed record CacheLayout(IReadOnlyList<CacheSlot> Slots, bool Padded, float Tolerance, long? Room = null, bool Grown = false, bool Compact = false)
{
    /// <summary>The layout of a model, or null where it has no cache that a step could hand to the next one.</summary>
    /// <param name="graph">The model's graph, where it could be read: it knows dimensions that inputs leave open.</param>
    /// <param name="inputs">The session's inputs.</param>
    public static CacheLayout? Of(Graph? graph, IReadOnlyList<GraphValue> inputs, IReadOnlyList<GraphValue> outputs)
    {
        var model = new ModelInputs(inputs);
        if (model.Tokens?.Type.Shape is not { Rank: 2 } text || text[1].IsKnown || model.HasDecoder || (!model.ReadsEncoder && inputs.Any(i => model.MustBeGiven(i)))) return null;
        IReadOnlyList<CacheEntry> entries = CacheEntry.Find(inputs, outputs);
        if (entries.Count == 0 || entries.Any(e => e.Present is null || e.Past.Type.Shape is null)) return null;
        Graph? open = graph is null ? null : TryUnfold(graph);
        CacheSlot?[] slots = [.. entries.Select(e => Slot(e, text[0], open))];
        if (slots.Any(s => s is null) || entries.Any(e => !GoesRound(e, outputs))) return null;
        bool buffer = entries.Any(e => e.Past.Role == InputRole.Buffer), perRow = inputs.Any(i => i is { Role: InputRole.PastLength or InputRole.TotalLength or InputRole.LastIndex, Type.Rank: > 0 } && i.Type.Shape![0].Value != 1);
        bool places = Positioned(inputs) && !inputs.Any(i => i.Name == "cache_position" || DecoderInputs.IsCounting(i)); // each row is written where its positions say
        return new(
            [.. slots.Select(s => s!)],
            perRow || (buffer && places) || (Masked(inputs) && (Positioned(inputs) || CountsItself(graph))),
            IsCoarse(graph, entries) ? 0.05f : 1e-3f,
            RoomOf(inputs),
            slots.Any(s => s!.GrownAxis >= 0),
            buffer && (perRow || places));
    }

    /// <summary>Tokens that a model's cache holds where it is written in place and of fixed length; null elsewhere.</summary>
    public static long? RoomOf(IReadOnlyList<GraphValue> inputs) => CacheEntry.Find(inputs, [])
        .Where(e => e.Past.Role is InputRole.Buffer or InputRole.Measured && e.PastAxis >= 0).Min(e => e.Past.Type.Shape?[e.PastAxis].Value);

    /// <summary>A window must come out as long as it went in: what comes out longer would have to be cut.</summary>
    private static bool GoesRound(CacheEntry entry, IReadOnlyList<GraphValue> outputs) => entry.PastAxis < 0 || entry.Past.Type.Shape![entry.PastAxis].Value is not { } size
        || outputs.First(o => o.Name == entry.Present).Type.Shape is not { } made || made.Rank <= entry.PastAxis || made[entry.PastAxis].Value is not { } after || after == size;

    private static bool IsCoarse(Graph? graph, IReadOnlyList<CacheEntry> entries) => graph is null || entries.Any(e => e.Past.Type.Element != ElementType.Float)
        || graph.Nodes.Exists(n => n.OpType.Contains("Quantize", StringComparison.Ordinal) || n.OpType.Contains("Integer", StringComparison.Ordinal) || n.OpType == "QAttention")
        || graph.Initializers.Values.Any(t => t.Type is ElementType.BFloat16 or ElementType.Float16);

    private static bool Masked(IReadOnlyList<GraphValue> inputs) => inputs.Any(i => i is { Name: "attention_mask", Type.Rank: 2 });

    private static bool Positioned(IReadOnlyList<GraphValue> inputs) => inputs.Any(i => i is { Name: "position_ids", Type.Rank: 2 } && i.Type.Shape![0].Value != 1);

    /// <summary>GroupQueryAttention puts each row's keys behind its own last token and counts positions from there.</summary>
    private static bool CountsItself(Graph? graph)
    {
        string[] attention = [.. graph?.Nodes.Select(n => n.Operator).Where(o => o.Contains("Attention", StringComparison.Ordinal)) ?? []];
        return attention.Length > 0 && attention.All(o => o == "com.microsoft.GroupQueryAttention");
    }

    private static CacheSlot? Slot(CacheEntry entry, Dim batch, Graph? open)
    {
        Shape declared = entry.Past.Type.Shape!, made = open?.TypeOf(entry.Present!).Shape is { } s && s.Rank == declared.Rank ? s : declared;
        var dims = new long[declared.Rank];
        for (int i = 0; i < dims.Length; i++)
        {
            long? size = i == entry.PastAxis ? declared[i].Value ?? 0 : i != entry.BatchAxis ? declared[i].Value ?? made[i].Value
                : declared[i].SameAs(batch) || made[i].SameAs(batch) ? 1 : declared[i].Value is { } all && batch.Value is { } rows and > 0 ? all / rows
                : DimMath.Quotient(made[i], batch).Value ?? (open is null || declared[i].Symbol?.Contains("head", StringComparison.OrdinalIgnoreCase) != true ? 1 : null);
            if (size is null) return null;
            dims[i] = size.Value;
        }
        int grown = entry.Past.Role == InputRole.Buffer && entry.PastAxis >= 0 && !declared[entry.PastAxis].IsKnown ? entry.PastAxis : -1;
        return new(entry.Past.Name, entry.Present!, entry.Past.Type.Element, entry.BatchAxis, dims, grown);
    }

    private static Graph? TryUnfold(Graph graph)
    {
        try
        {
            return Unfolding.Of(graph, keepPresent: true);
        }
        catch (LiftException)
        {
            return null;
        }
    }
}
