using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Operators;

internal static partial class OperatorCases
{
    private static TestTensor Bool(bool value) => new(ElementType.Bool, [], [value ? 1 : 0]);

    private static IEnumerable<OperatorCase> Dropout()
    {
        foreach (long[] dims in new long[][] { [1], [0, 3], [3, 5], [100, 700] })
        {
            Grid dy = Grid.Normal(31, dims), mask = Grid.Normal(32, dims).Map(v => v > 0 ? 1 : 0);
            TestTensor kept = ((TestTensor)mask).As(ElementType.Bool);
            yield return new(new OneNode("DropoutGrad"), [dy, kept], dy.Zip(mask, (g, m) => 2 * g * m));
            yield return new(new OneNode("DropoutGrad"), [dy, kept, TestTensor.Of(0.25), Bool(true)], dy.Zip(mask, (g, m) => g * m / 0.75));
            yield return new(new OneNode("DropoutGrad"), [dy, kept, TestTensor.Of(0.25), Bool(false)], dy);
        }
    }

    private static IEnumerable<OperatorCase> Concat()
    {
        foreach (ElementType type in new[] { ElementType.Float, ElementType.Int64, ElementType.Int32, ElementType.Bool })
            foreach (var (axis, lengths) in new (long, long[])[] { (0, [2, 1, 4]), (1, [3]), (-1, [2, 0, 3]), (-2, [1, 2]) })
            {
                var (whole, pieces) = Pieces(axis, lengths, type == ElementType.Bool);
                var node = new OneNode("ConcatTraining", ("axis", axis));
                yield return new(node with { Outputs = 2 }, [.. pieces.Select(p => p.As(type))], whole.As(type), TestTensor.Longs(lengths));
                yield return new(node, [.. pieces.Select(p => p.As(type))], whole.As(type));
            }
    }

    private static IEnumerable<OperatorCase> Split()
    {
        foreach (ElementType type in new[] { ElementType.Float, ElementType.Int64, ElementType.Bool })
            foreach (var (axis, lengths) in new (long, long[])[] { (0, [2, 1, 4]), (1, [3]), (-1, [2, 0, 3]), (-2, [1, 2]) })
            {
                var (whole, pieces) = Pieces(axis, lengths, type == ElementType.Bool);
                yield return new(new OneNode("SplitTraining", ("axis", axis)) { Outputs = lengths.Length }, [whole.As(type), TestTensor.Longs(lengths)], [.. pieces.Select(p => p.As(type))]);
            }
    }

    private static (TestTensor Whole, TestTensor[] Pieces) Pieces(long axis, long[] lengths, bool small)
    {
        long a = axis < 0 ? axis + 3 : axis;
        long[] dims = [2, 3, 4];
        dims[a] = lengths.Sum();
        Grid whole = Grid.Zeros(dims);
        for (int i = 0; i < whole.Values.Length; i++) whole.Values[i] = small ? i % 2 : i;
        long from = 0;
        var pieces = new List<TestTensor>();
        foreach (long length in lengths)
        {
            Grid piece = Grid.Zeros([.. dims.Select((d, i) => i == a ? length : d)]);
            foreach (long[] at in piece.Positions())
            {
                long[] source = [.. at];
                source[a] += from;
                piece[at] = whole[source];
            }
            pieces.Add(piece);
            from += length;
        }
        return (whole, [.. pieces]);
    }

    private static IEnumerable<OperatorCase> Slice()
    {
        foreach (var (dims, starts, ends, axes, steps) in new (long[], long[], long[], long[]?, long[]?)[]
        {
            ([5, 4], [1], [3], null, null),
            ([5, 4], [0, 1], [5, 100], null, null),
            ([5, 4], [-2], [100], [-1], null),
            ([5, 4], [4, 0], [0, 4], [0, 1], [-2, 3]),
            ([7], [-1], [-100], [0], [-1]),
            ([5, 4], [3], [3], [0], null),
        })
        {
            Grid dx = Grid.Zeros(dims);
            var rows = new List<long>[dims.Length];
            for (int d = 0; d < dims.Length; d++) rows[d] = [.. Enumerable.Range(0, (int)dims[d])];
            for (int i = 0; i < starts.Length; i++)
            {
                long a = axes?[i] ?? i, step = steps?[i] ?? 1;
                a = a < 0 ? a + dims.Length : a;
                long from = starts[i] < 0 ? starts[i] + dims[a] : starts[i], to = ends[i] < 0 ? Math.Max(ends[i] + dims[a], -1) : Math.Min(ends[i], dims[a]);
                rows[a] = [];
                for (long r = from; step > 0 ? r < to : r > to; r += step) rows[a].Add(r);
            }
            Grid dy = Grid.Normal(33, [.. rows.Select(r => (long)r.Count)]);
            foreach (long[] at in dy.Positions()) dx[[.. at.Select((p, d) => rows[d][(int)p])]] = dy[at];
            TestTensor?[] inputs = [dy, TestTensor.Longs(dims), TestTensor.Longs(starts), TestTensor.Longs(ends), axes is null ? null : TestTensor.Longs(axes), steps is null ? null : TestTensor.Longs(steps)];
            yield return new(new OneNode("SliceGrad"), steps is not null ? inputs : axes is not null ? inputs[..5] : inputs[..4], dx);
            if (steps is null) yield return new(new OneNode("SliceGrad"), [.. inputs.Index().Take(axes is null ? 4 : 5).Select(i => i.Index > 1 ? i.Item!.As(ElementType.Int32) : i.Item)], dx);
        }
    }

    private static IEnumerable<OperatorCase> ReduceSum()
    {
        foreach (long[] dims in new long[][] { [1], [4, 5], [2, 3, 4], [0, 3], [3, 0], [30, 7, 129] })
            foreach (long[] axes in new long[][] { [], [0], [-1], [.. Enumerable.Range(0, dims.Length)], dims.Length > 2 ? [0, 2] : [0] })
                foreach (bool keep in new[] { true, false })
                    foreach (bool none in new[] { true, false })
                    {
                        Grid x = Grid.Normal(34, dims);
                        bool[] summed = [.. dims.Select((_, d) => axes.Length == 0 ? !none : axes.Contains(d) || axes.Contains(d - dims.Length))];
                        Grid y = Grid.Zeros([.. dims.Select((d, i) => summed[i] ? 1 : d)]);
                        foreach (long[] at in x.Positions()) y[[.. at.Select((p, d) => summed[d] ? 0 : p)]] += x[at];
                        TestTensor expected = keep ? y : new Grid([.. dims.Where((_, i) => !summed[i])], y.Values);
                        yield return new(
                            new OneNode("ReduceSumTraining", ("keepdims", keep ? 1 : 0), ("noop_with_empty_axes", none ? 1 : 0)),
                            [x, TestTensor.Longs(axes)], expected)
                        { Tolerance = 1e-5 };
                    }
    }

    private static IEnumerable<OperatorCase> BroadcastArgs()
    {
        foreach (var (a, b, ra, rb) in new (long[], long[], long[], long[])[]
            { ([2, 3], [2, 3], [], []), ([2, 3], [3], [], [0]), ([1], [4, 2, 1], [0, 1], []), ([2, 1, 5], [4, 1], [1], [0, 2]), ([], [7], [0], []), ([1, 3], [1, 3], [], []) })
            yield return new(new OneNode("BroadcastGradientArgs") { Outputs = 2 }, [TestTensor.Longs(a), TestTensor.Longs(b)], TestTensor.Longs(ra), TestTensor.Longs(rb));
    }

    private static IEnumerable<OperatorCase> Zero()
    {
        yield return new(new OneNode("ZeroGradient"), [Grid.Normal(35, 3, 4), TestTensor.Longs(1)], Grid.Zeros(3, 4));
        yield return new(new OneNode("ZeroGradient"), [Grid.Normal(35, 3, 4), Bool(true)], Grid.Zeros(3, 4));
    }

    private static IEnumerable<OperatorCase> Groups()
    {
        yield return new(new OneNode("Group"), [Grid.Normal(36, 2), TestTensor.Longs(1, 2), Bool(false)], Bool(true));
    }

    private static IEnumerable<OperatorCase> Convolution()
    {
        foreach (var (x, w, groups, strides, dilations, pads, auto) in new (long[], long[], long, long[]?, long[]?, long[]?, string?)[]
        {
            ([1, 1, 3], [1, 1, 2], 1, null, null, null, null),
            ([2, 3, 5, 6], [4, 3, 3, 2], 1, null, null, null, null),
            ([2, 4, 7, 5], [6, 2, 3, 3], 2, [2, 1], [1, 2], [1, 2, 0, 1], null),
            ([1, 2, 6, 6], [2, 1, 3, 3], 2, [2, 2], null, null, "SAME_UPPER"),
            ([1, 2, 6, 7], [2, 2, 2, 2], 1, [2, 1], null, null, "SAME_LOWER"),
            ([1, 1, 3, 4, 3], [2, 1, 2, 2, 2], 1, null, null, [0, 1, 1, 0, 0, 1], "NOTSET"),
            ([6, 8, 12, 12], [16, 8, 3, 3], 1, null, null, [1, 1, 1, 1], null),
            ([6, 8, 12, 12], [16, 8, 3, 3], 1, [1, 1], [1, 1], [1, 1, 1, 1], null),
            ([1, 8, 20, 21], [40, 8, 3, 3], 1, [1, 2], [1, 1], [1, 0, 1, 1], null),
            ([3, 12, 9, 10], [12, 1, 3, 3], 12, [2, 1], [1, 2], [1, 2, 1, 2], null),
            ([1, 12, 30, 30], [24, 1, 3, 3], 12, [1, 1], [1, 1], [1, 1, 1, 1], null),
            ([3, 40, 11, 11], [50, 40, 1, 1], 1, [1, 1], [1, 1], [0, 0, 0, 0], null),
            ([3, 40, 11, 11], [50, 40, 1, 1], 1, [2, 2], [1, 1], [0, 0, 0, 0], null),
            ([2, 3, 40], [5, 3, 7], 1, [3], [2], [2, 4], null),
            ([2, 3, 5, 6, 7], [4, 3, 2, 3, 3], 1, [1, 2, 1], [2, 1, 1], [0, 1, 2, 1, 0, 1], null),
        })
        {
            OperatorCase all = PlainConvolution(x, w, groups, strides, dilations, pads, auto);
            string[] given = ["group", "kernel_shape", "strides", "dilations", "pads"];
            yield return all with { HasFallback = given.All(a => all.Node.Attributes.Any(g => g.Name == a)) && auto is null };
            yield return all with { Node = all.Node with { Absent = [0] }, Expected = all.Expected[1..], HasFallback = false };
            yield return all with { Node = all.Node with { Outputs = 1 }, Expected = all.Expected[..1], HasFallback = false };
        }
    }

    private static OperatorCase PlainConvolution(long[] xDims, long[] wDims, long groups, long[]? strides, long[]? dilations, long[]? pads, string? auto)
    {
        int rank = xDims.Length - 2;
        var attributes = new List<(string, object)> { ("group", groups), ("kernel_shape", wDims[2..]) };
        if (strides is not null) attributes.Add(("strides", strides));
        if (dilations is not null) attributes.Add(("dilations", dilations));
        if (pads is not null) attributes.Add(("pads", pads));
        if (auto is not null) attributes.Add(("auto_pad", auto));
        long[] before = new long[rank], output = new long[rank];
        for (int d = 0; d < rank; d++)
        {
            long stride = strides?[d] ?? 1, window = (wDims[d + 2] - 1) * (dilations?[d] ?? 1) + 1, image = xDims[d + 2];
            if (auto?.StartsWith("SAME", StringComparison.Ordinal) == true)
            {
                output[d] = (image + stride - 1) / stride;
                long total = Math.Max(0, (output[d] - 1) * stride + window - image);
                before[d] = auto == "SAME_UPPER" ? total / 2 : total - total / 2;
                continue;
            }
            before[d] = pads?[d] ?? 0;
            output[d] = (image + before[d] + (pads?[d + rank] ?? 0) - window) / stride + 1;
        }
        Grid x = Grid.Normal(41, xDims), w = Grid.Normal(42, wDims), dy = Grid.Normal(43, [xDims[0], wDims[0], .. output]);
        Grid dx = Grid.Zeros(xDims), dw = Grid.Zeros(wDims), db = Grid.Zeros(wDims[0]);
        long perGroup = wDims[0] / groups;
        long[][] kernel = [.. w.Positions()];
        foreach (long[] at in dy.Positions())
        {
            db[at[1]] += dy[at];
            foreach (long[] k in kernel.Where(k => k[0] == at[1]))
            {
                long[] source = [at[0], at[1] / perGroup * wDims[1] + k[1], .. Enumerable.Range(0, rank).Select(d => at[d + 2] * (strides?[d] ?? 1) + k[d + 2] * (dilations?[d] ?? 1) - before[d])];
                if (source.Index().Any(p => p.Item < 0 || p.Item >= xDims[p.Index])) continue;
                dx[source] += dy[at] * w[k];
                dw[k] += dy[at] * x[source];
            }
        }
        return new(new OneNode("ConvGrad", [.. attributes]) { Outputs = 3 }, [dy, x, w], dx, dw, db) { Tolerance = 1e-5 };
    }
}
