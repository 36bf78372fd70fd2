namespace Lift.Ort.Operators.Attentions;

/// <summary>A tensor in memory as attention sees it: dimensions and strides in the order […, rows, columns].</summary>
internal sealed record AttentionOperand(long[] Dims, long[] Strides)
{
    public long Rows => Dims[^2];

    public long Columns => Dims[^1];

    public long RowStride => Strides[^2];

    public long ColumnStride => Strides[^1];

    public ReadOnlySpan<long> Leads => Dims.AsSpan(0, Dims.Length - 2);

    public static AttentionOperand Of(string name, long[] stored, long[]? order)
    {
        order ??= [.. Enumerable.Range(0, stored.Length).Select(i => (long)i)];
        if (stored.Length < 2 || !order.Order().SequenceEqual(Enumerable.Range(0, stored.Length).Select(i => (long)i)))
            throw new ArgumentException($"{name} [{string.Join(", ", stored)}] cannot be transposed by [{string.Join(", ", order)}]");
        long[] strides = new long[stored.Length];
        for (long i = stored.Length - 1, stride = 1; i >= 0; stride *= stored[i--]) strides[i] = stride;
        return new([.. order.Select(o => stored[o])], [.. order.Select(o => strides[o])]);
    }

    /// <summary>Dimensions in memory of what is <paramref name="dims"/> when it is transposed by <paramref name="order"/>.</summary>
    public static long[] Stored(long[] dims, long[]? order)
    {
        if (order is null) return dims;
        if (order.Length != dims.Length) throw new ArgumentException($"y of rank {dims.Length} cannot be transposed by [{string.Join(", ", order)}]");
        long[] stored = new long[dims.Length];
        for (int i = 0; i < dims.Length; i++) stored[order[i]] = dims[i];
        return stored;
    }
}

/// <summary>A bias or mask that is broadcast to the scores: where each head's part begins, and its strides, 0 along axes that it does not have.</summary>
internal sealed record AttentionMask(long[] At, long RowStride, long ColumnStride);

/// <summary>Which parts of the tensors belong together: one entry per matrix of q (batch and head).</summary>
internal sealed class AttentionGeometry
{
    public AttentionGeometry(AttentionForm form, long[] q, long[] k, long[] v)
    {
        (Q, K, V) = (AttentionOperand.Of("q", q, form.Q), AttentionOperand.Of("k", k, form.K), AttentionOperand.Of("v", v, form.V));
        if (Q.Columns != K.Columns || K.Rows != V.Rows) throw new ArgumentException($"q [{string.Join(", ", Q.Dims)}], k [{string.Join(", ", K.Dims)}] and v [{string.Join(", ", V.Dims)}] do not fit each other");
        YDims = AttentionOperand.Stored([.. Q.Leads, Q.Rows, V.Columns], form.Y);
        Y = AttentionOperand.Of("y", YDims, form.Y);
        Count = CpuTensor.Product(Q.Leads);
        (QAt, YAt, KAt, VAt) = (Offsets(Q), Offsets(Y), Offsets(K), Offsets(V));
        Groups = KAt.Zip(VAt).Distinct().Count() == KAt.Distinct().Count() && KAt.Distinct().Count() == VAt.Distinct().Count()
            ? [.. Enumerable.Range(0, (int)Count).GroupBy(n => KAt[n]).Select(g => g.ToArray())]
            : [[.. Enumerable.Range(0, (int)Count)]];
    }

    public AttentionOperand Q { get; }

    public AttentionOperand K { get; }

    public AttentionOperand V { get; }

    public AttentionOperand Y { get; }

    /// <summary>Dimensions of y in memory.</summary>
    public long[] YDims { get; }

    /// <summary>Matrices of q.</summary>
    public long Count { get; }

    public long[] QAt { get; }

    public long[] KAt { get; }

    public long[] VAt { get; }

    public long[] YAt { get; }

    /// <summary>Matrices of q that share k and v: dk and dv are sums over a group.</summary>
    public int[][] Groups { get; }

    /// <summary>
    /// Where each matrix's part of a mask lies. The mask's leading axes are q's, or q's regrouped (batch and heads as one axis, or apart): what does not fit from the right is read as
    /// another division of the same matrices, in which one axis follows from the others.
    /// </summary>
    public AttentionMask Mask(string name, long[] dims)
    {
        AttentionOperand mask = AttentionOperand.Of(name, dims.Length >= 2 ? dims : [.. Enumerable.Repeat(1L, 2 - dims.Length), .. dims], null);
        ArgumentException Wrong() => new($"{name} [{string.Join(", ", dims)}] does not fit scores [{string.Join(", ", Q.Leads.ToArray())}, {Q.Rows}, {K.Rows}]");
        if ((mask.Rows != 1 && mask.Rows != Q.Rows) || (mask.Columns != 1 && mask.Columns != K.Rows)) throw Wrong();
        long[] leads = mask.Leads.ToArray(), view = [.. leads];
        int aligned = Q.Leads.Length - leads.Length;
        bool fits = aligned >= 0;
        for (int i = 0; fits && i < leads.Length; i++) fits = leads[i] == 1 || leads[i] == Q.Leads[aligned + i];
        if (fits) view = Q.Leads[aligned..].ToArray();
        else
        {
            int open = -1;
            if (leads[^1] == 1 && Q.Leads.Length > 1) view[^1] = Q.Leads[^1];
            for (int i = leads.Length - 1; i > 0; i--)
            {
                if (view[i] != 1 || leads[..i].All(d => d == 1)) continue;
                if (open >= 0) throw Wrong();
                open = i;
            }
            long product = CpuTensor.Product(view);
            if (product == 0 || Count % product != 0) throw Wrong();
            if (open >= 0) view[open] = Count / product;
        }
        long[] at = new long[Count];
        for (long n = 0; n < Count; n++)
        {
            long rest = n;
            for (int i = view.Length - 1; i >= 0; rest /= view[i--])
                if (leads[i] != 1) at[n] += rest % view[i] * mask.Strides[i];
        }
        return new(at, mask.Rows == 1 ? 0 : mask.RowStride, mask.Columns == 1 ? 0 : 1);
    }

    /// <summary>Where each matrix of q finds its part of an operand.</summary>
    private long[] Offsets(AttentionOperand x)
    {
        int extra = Q.Leads.Length - x.Leads.Length;
        if (extra < 0) throw new ArgumentException($"[{string.Join(", ", x.Dims)}] has more axes than q [{string.Join(", ", Q.Dims)}]");
        long[] at = new long[Count];
        for (long n = 0; n < Count; n++)
        {
            long rest = n;
            for (int i = Q.Leads.Length - 1; i >= 0; rest /= Q.Leads[i--])
            {
                if (i < extra || x.Leads[i - extra] == 1) continue;
                long have = x.Leads[i - extra], want = Q.Leads[i];
                if (have == 0 || want % have != 0 || (have != want && i != Q.Leads.Length - 1)) throw new ArgumentException($"[{string.Join(", ", x.Dims)}] does not fit q [{string.Join(", ", Q.Dims)}]");
                at[n] += rest % want / (want / have) * x.Strides[i - extra];
            }
        }
        return at;
    }
}
