using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Operators;

internal static partial class OperatorCases
{
    /// <summary>One attention: dimensions in the operator's own order, masks, and how the tensors lie in memory.</summary>
    private sealed record AttentionExample(long[] Q, long[] K, long[] V, float Scale = 0.5f)
    {
        public Grid? Bias { get; init; }

        public Grid? Keep { get; init; }

        public Grid? Mask { get; init; }

        public float Softcap { get; init; }

        public float Fill { get; init; } = float.NegativeInfinity;

        public float Floor { get; init; } = float.NegativeInfinity;

        public bool Guard { get; init; }

        public long[]? QOrder { get; init; }

        public long[]? KOrder { get; init; }

        public long[]? VOrder { get; init; }

        public long[]? YOrder { get; init; }

        public (string, object)[] Attributes
        {
            get
            {
                List<(string, object)> list = [("scale", Scale)];
                if (Softcap > 0) list.Add(("softcap", Softcap));
                if (Keep is not null) list.Add(("fill", Fill));
                if (float.IsFinite(Floor)) list.Add(("floor", Floor));
                if (Guard) list.Add(("guard", 1));
                foreach (var (name, order) in new[] { ("q_order", QOrder), ("k_order", KOrder), ("v_order", VOrder), ("y_order", YOrder) })
                    if (order is not null) list.Add((name, order));
                return [.. list];
            }
        }
    }

    private static IEnumerable<AttentionExample> AttentionExamples()
    {
        static Grid Causal(long t, long s, double above)
        {
            Grid g = Grid.Zeros(t, s);
            foreach (long[] at in g.Positions()) g[at] = at[1] > at[0] + s - t ? above : 0;
            return g;
        }
        static Grid Kept(int seed, params long[] dims) => Grid.Normal(seed, dims).Map(v => v > -0.5 ? 1 : 0);
        yield return new([2, 3, 4], [2, 5, 4], [2, 5, 6]);
        yield return new([1, 1, 1], [1, 1, 1], [1, 1, 1]);
        yield return new([2, 0, 4], [2, 5, 4], [2, 5, 4]);
        yield return new([0, 3, 4], [0, 5, 4], [0, 5, 4]);
        yield return new([2, 3, 50, 20], [2, 3, 70, 20], [2, 3, 70, 12]);
        yield return new([1, 2, 200, 8], [1, 2, 200, 8], [1, 2, 200, 8]) { Mask = Causal(200, 200, -3.4028234663852886e38) }; // blocks that are left out
        yield return new([1, 2, 200, 8], [1, 2, 200, 8], [1, 2, 200, 8]) { Mask = Causal(200, 200, double.NegativeInfinity) };
        yield return new([1, 2, 130, 8], [1, 2, 130, 8], [1, 2, 130, 8]) { Keep = Causal(130, 130, -1).Map(v => v + 1) };
        yield return new([2, 4, 7, 8], [2, 2, 7, 8], [2, 2, 7, 8]) { Bias = Grid.Normal(71, 1, 4, 7, 7), Mask = Causal(7, 7, -1e4) }; // grouped heads, a bias per head
        yield return new([2, 4, 7, 8], [2, 1, 9, 8], [2, 1, 9, 8]) { Keep = Kept(72, 2, 1, 1, 9), Fill = -1e4f }; // one head for all
        yield return new([2, 4, 3, 8], [1, 4, 9, 8], [1, 4, 9, 8]) { Keep = Kept(73, 2, 1, 3, 1), Fill = -3e38f, Bias = Grid.Normal(74, 9) }; // rows without anything kept are even
        yield return new([8, 3, 4], [8, 5, 4], [8, 5, 4]) { Mask = Kept(75, 2, 1, 3, 5).Map(v => -9 * v) }; // batch and heads in one axis
        yield return new([8, 3, 4], [8, 5, 4], [8, 5, 4]) { Bias = Grid.Normal(76, 8, 1, 5), Mask = Kept(75, 1, 4, 3, 5).Map(v => -9 * v) };
        yield return new([6, 2, 4, 4], [6, 2, 4, 4], [6, 2, 4, 4]) { Bias = Grid.Normal(77, 1, 2, 4, 4), Mask = Kept(78, 1, 3, 1, 4, 4).Map(v => -100 * v) }; // windows: 2 images of 3
        yield return new([2, 2, 6, 4], [2, 2, 6, 4], [2, 2, 6, 4]) { Softcap = 2, Mask = Causal(6, 6, double.NegativeInfinity) };
        yield return new([1, 2, 3, 4], [1, 2, 5, 4], [1, 2, 5, 4]) { Keep = new Grid([3, 5], [0, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1]), Guard = true };
        yield return new([1, 2, 3, 4], [1, 2, 5, 4], [1, 2, 5, 4]) { Mask = new Grid([3, 5], [.. Enumerable.Repeat((double)float.MinValue, 5), .. Enumerable.Repeat(double.NegativeInfinity, 5), 0, float.MinValue, 0, 0, double.NegativeInfinity]), Floor = float.MinValue };
        yield return new([2, 3, 5, 4], [2, 3, 6, 4], [2, 3, 6, 8]) { QOrder = [0, 2, 1, 3], KOrder = [0, 2, 1, 3], VOrder = [0, 2, 1, 3], YOrder = [0, 2, 1, 3] };
        yield return new([2, 3, 5, 4], [2, 3, 6, 4], [2, 3, 6, 8]) { QOrder = [0, 1, 3, 2], KOrder = [0, 1, 3, 2], VOrder = [1, 0, 3, 2], YOrder = [0, 1, 3, 2] };
        yield return new([4, 5, 4], [4, 6, 4], [4, 6, 4]) { QOrder = [1, 0, 2], KOrder = [1, 2, 0], YOrder = [1, 0, 2] };
    }

    private static IEnumerable<OperatorCase> Attention()
    {
        foreach (AttentionExample e in AttentionExamples())
        {
            var (q, k, v, _) = Operands(e);
            var (y, lse, _, _, _) = PlainAttention(e);
            TestTensor?[] inputs = [Lying(q, e.QOrder), Lying(k, e.KOrder), Lying(v, e.VOrder), e.Bias, Bools(e.Keep), e.Mask];
            TestTensor[] expected = e.Guard ? [Lying(y, e.YOrder)] : [Lying(y, e.YOrder), lse]; // infinite for a row of nothing
            yield return new(Own("Attention", e.Attributes) with { Outputs = expected.Length }, Trimmed(inputs), expected) { HasFallback = false, Tolerance = 5e-6 };
        }
    }

    private static IEnumerable<OperatorCase> AttentionGrad()
    {
        foreach (AttentionExample e in AttentionExamples())
        {
            var (q, k, v, dy) = Operands(e);
            var (_, lse, dq, dk, dv) = PlainAttention(e);
            TestTensor?[] inputs = [Lying(dy, e.YOrder), Lying(q, e.QOrder), Lying(k, e.KOrder), Lying(v, e.VOrder), lse, e.Bias, Bools(e.Keep), e.Mask];
            yield return new(Own("AttentionGrad", e.Attributes) with { Outputs = 3 }, Trimmed(inputs), Lying(dq, e.QOrder), Lying(dk, e.KOrder), Lying(dv, e.VOrder)) { HasFallback = false, Tolerance = 2e-5 };
        }
    }

    private static (Grid Q, Grid K, Grid V, Grid Dy) Operands(AttentionExample e) => (Grid.Normal(64, e.Q), Grid.Normal(65, e.K), Grid.Normal(66, e.V), Grid.Normal(67, [.. e.Q[..^1], e.V[^1]]));

    /// <summary>The definition, score by score.</summary>
    private static (Grid Y, Grid Lse, Grid Dq, Grid Dk, Grid Dv) PlainAttention(AttentionExample e)
    {
        var (q, k, v, dy) = Operands(e);
        Grid y = Grid.Zeros(dy.Dims), lse = Grid.Zeros(e.Q[..^1]), dq = Grid.Zeros(e.Q), dk = Grid.Zeros(e.K), dv = Grid.Zeros(e.V);
        long d = e.Q[^1], width = e.V[^1], columns = e.K[^2], matrices = e.Q[..^2].Aggregate(1L, (a, b) => a * b);
        foreach (long[] row in lse.Positions())
        {
            long n = 0; // the row's matrix, counted through
            for (int i = 0; i < row.Length - 1; i++) n = n * e.Q[i] + row[i];
            long[] Of(Grid x) => [.. row[..^1].Select((c, i) => x.Dims[i] == e.Q[i] ? c : c / (e.Q[i] / x.Dims[i]))];
            long[] kAt = Of(k), vAt = Of(v);
            var s = new double[columns];
            double[] tanh = new double[columns], through = new double[columns];
            for (long j = 0; j < columns; j++)
            {
                for (long p = 0; p < d; p++) s[j] += e.Scale * q[[.. row, p]] * k[[.. kAt, j, p]];
                if (e.Softcap > 0) s[j] = e.Softcap * (tanh[j] = Math.Tanh(s[j] / e.Softcap));
                if (e.Bias is { } b) s[j] += Broadcast(b, n, matrices, e.Q, row[^1], j);
                if (e.Keep is { } keep && Broadcast(keep, n, matrices, e.Q, row[^1], j) == 0) s[j] = e.Fill;
                if (e.Mask is { } m) s[j] = (float)(s[j] + Broadcast(m, n, matrices, e.Q, row[^1], j)) < -1e37 ? (float)Broadcast(m, n, matrices, e.Q, row[^1], j) : s[j] + Broadcast(m, n, matrices, e.Q, row[^1], j);
                through[j] = s[j] > e.Floor ? 1 : s[j] == e.Floor ? 0.5 : 0;
                s[j] = Math.Max(s[j], e.Floor);
            }
            double max = s.DefaultIfEmpty(double.NegativeInfinity).Max();
            bool nothing = e.Guard && double.IsNegativeInfinity(max);
            double[] p0 = [.. s.Select(x => nothing ? 0 : Math.Exp(x - max))];
            double sum = p0.Sum();
            lse[row] = nothing ? double.PositiveInfinity : max + Math.Log(sum);
            double[] prob = [.. p0.Select(x => nothing ? 0 : x / sum)], dp = new double[columns];
            for (long j = 0; j < columns; j++)
                for (long p = 0; p < width; p++)
                {
                    y[[.. row, p]] += prob[j] * v[[.. vAt, j, p]];
                    dv[[.. vAt, j, p]] += prob[j] * dy[[.. row, p]];
                    dp[j] += dy[[.. row, p]] * v[[.. vAt, j, p]];
                }
            double dot = prob.Zip(dp, (a, b) => a * b).Sum();
            for (long j = 0; j < columns; j++)
            {
                if (e.Keep is { } keep && Broadcast(keep, n, matrices, e.Q, row[^1], j) == 0) continue;
                double ds = prob[j] * (dp[j] - dot) * e.Scale * (1 - (tanh[j] * tanh[j])) * through[j];
                for (long p = 0; p < d; p++)
                {
                    dq[[.. row, p]] += ds * k[[.. kAt, j, p]];
                    dk[[.. kAt, j, p]] += ds * q[[.. row, p]];
                }
            }
        }
        return (y, lse, dq, dk, dv);
    }

    /// <summary>The mask's number for score (i, j) of a matrix, its leading axes read as a division of all matrices.</summary>
    private static double Broadcast(Grid mask, long n, long matrices, long[] q, long i, long j)
    {
        long[] leads = mask.Rank > 2 ? mask.Dims[..^2] : [];
        long[] division = leads.Length == 3 ? [matrices / 6, 3, 2] : leads.Length == 2 && q.Length == 3 ? [matrices / 4, 4] : [.. q[..^2].TakeLast(leads.Length)];
        long[] at = new long[mask.Rank];
        for (int a = leads.Length - 1; a >= 0; n /= division[a--]) at[a] = leads[a] == 1 ? 0 : n % division[a];
        if (mask.Rank > 1) at[^2] = mask.Dims[^2] == 1 ? 0 : i;
        at[^1] = mask.Dims[^1] == 1 ? 0 : j;
        return mask[at];
    }

    /// <summary>The tensor that becomes <paramref name="x"/> when it is transposed by this order.</summary>
    private static TestTensor Lying(Grid x, long[]? order)
    {
        if (order is null) return x;
        long[] dims = new long[x.Rank];
        for (int i = 0; i < x.Rank; i++) dims[order[i]] = x.Dims[i];
        Grid stored = Grid.Zeros(dims);
        foreach (long[] at in x.Positions())
        {
            long[] to = new long[x.Rank];
            for (int i = 0; i < x.Rank; i++) to[order[i]] = at[i];
            stored[to] = x[at];
        }
        return stored;
    }

    private static TestTensor? Bools(Grid? x) => ((TestTensor?)x)?.As(ElementType.Bool);

    private static TestTensor?[] Trimmed(TestTensor?[] inputs) => [.. inputs.Take(Array.FindLastIndex(inputs, i => i is not null) + 1)];
}
