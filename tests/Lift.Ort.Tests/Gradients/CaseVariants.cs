using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Gradients;

/// <summary>
/// Other forms of a case, made by machine: other sizes, an empty axis, scalars, axes counted from the end. A form that ONNX Runtime's own kernel of the
/// node does not take (sizes that no longer fit together) is no form, see <see cref="GradientCheck.Loss"/>.
/// </summary>
internal static class CaseVariants
{
    /// <summary>Sizes of the case's axes above 1 replaced by others, the same size by the same: first all of them, then one at a time. Seed 0 doubles them, others are random.</summary>
    public static IEnumerable<GradientCase> OtherSizes(GradientCase c, int seed)
    {
        var node = new Node("", "", [], []);
        c.Attributes?.Invoke(node);
        if (node.Int("group", 1) > 1) yield break; // its kernels do not see that channels do not divide
        var random = new Random(seed);
        long[] sizes = [.. c.Inputs.OfType<Tensor>().Where(t => t.Type.IsFloat()).SelectMany(t => t.Dims).Distinct().Where(d => d > 1).Order()];
        var map = sizes.ToDictionary(s => s, s => seed == 0 ? 2 * s : random.Next(1, 6));
        foreach (Dictionary<long, long> chosen in sizes.Select(s => new Dictionary<long, long> { [s] = map[s] }).Prepend(map))
            foreach (GradientCase variant in Both(c, chosen, $"sizes {string.Join(", ", chosen.Select(m => $"{m.Key} → {m.Value}"))}")) yield return variant;
    }

    /// <summary>No element along the first axis of input 0, and along the first axes of the same size of the other inputs; and the same for input 0 alone.</summary>
    public static IEnumerable<GradientCase> Empty(GradientCase c)
    {
        if (c.Inputs[0] is not { } x || !x.Type.IsFloat() || x.Dims.Length == 0 || x.Dims[0] == 0) yield break;
        Tensor?[] Inputs(Func<Tensor, int, bool> chosen) => [.. c.Inputs.Select((t, i) => t is not null && t.Dims.Length > 0 && t.Dims[0] == x.Dims[0] && chosen(t, i) ? Sized(t, [0, .. t.Dims[1..]], i) : t)];
        yield return c with { Note = $"{c.Note}: empty", Inputs = Inputs((t, i) => i == 0 || t.Dims.Length > 1) };
        yield return c with { Note = $"{c.Note}: empty", Inputs = Inputs((_, _) => true) };
        yield return c with { Note = $"{c.Note}: empty", Inputs = Inputs((_, i) => i == 0) };
    }

    /// <summary>All float inputs scalars.</summary>
    public static GradientCase Scalars(GradientCase c) =>
        c with { Note = $"{c.Note}: scalars", Inputs = [.. c.Inputs.Select((t, i) => t?.Type.IsFloat() == true ? Sized(t, [], i) : t)] };

    /// <summary>Six axes: two and then ones in front of all float inputs that are no scalars.</summary>
    public static GradientCase SixAxes(GradientCase c) => c with
    {
        Note = $"{c.Note}: six axes",
        Inputs = [.. c.Inputs.Select((t, i) => t?.Type.IsFloat() == true && t.Dims.Length is > 0 and < 6 ? Sized(t, [2, .. Enumerable.Repeat(1L, 5 - t.Dims.Length), .. t.Dims], i) : t)],
    };

    /// <summary>The attributes axis and axes counted from the end of input 0; null where the node has none.</summary>
    public static GradientCase? FromTheEnd(GradientCase c, int rank)
    {
        var node = new Node("", "", [], []);
        c.Attributes?.Invoke(node);
        if (!(node.Has("axis") && node.Int("axis") >= 0) && !(node.Ints("axes") is { } given && given.Any(a => a >= 0))) return null;
        return c with
        {
            Note = $"{c.Note}: from the end",
            Attributes = n =>
            {
                c.Attributes!(n);
                if (n.Has("axis") && n.Int("axis") is >= 0 and var axis) n.With("axis", axis - rank);
                if (n.Ints("axes") is { } axes) n.With("axes", [.. axes.Select(a => a >= 0 ? a - rank : a)]);
            },
        };
    }

    /// <summary>First with integer inputs as they are, then with theirs repeated or cut to the new sizes.</summary>
    private static IEnumerable<GradientCase> Both(GradientCase c, Dictionary<long, long> map, string note)
    {
        Tensor?[] Inputs(bool integers) => [.. c.Inputs.Select((t, i) => t is not null && (integers || t.Type.IsFloat()) ? Sized(t, [.. t.Dims.Select(d => map.GetValueOrDefault(d, d))], i) : t)];
        yield return c with { Note = $"{c.Note}: {note}", Inputs = Inputs(false) };
        if (c.Inputs.Any(t => t is { Dims.Length: > 0 } && !t.Type.IsFloat())) yield return c with { Note = $"{c.Note}: {note}", Inputs = Inputs(true) };
    }

    /// <summary>A tensor of other sizes: floats of the same range, a little inside and different for each input so that there are no ties; integers and bools repeated.</summary>
    private static Tensor Sized(Tensor t, long[] dims, int index)
    {
        if (dims.SequenceEqual(t.Dims)) return t;
        int count = (int)dims.Aggregate(1L, (n, d) => n * d);
        if (t.Type != ElementType.Float)
        {
            byte[] from = t.AsSpan<byte>().ToArray();
            int size = t.Count == 0 ? 1 : from.Length / (int)t.Count;
            byte[] bytes = [.. Enumerable.Range(0, from.Length == 0 ? 0 : count * size).Select(i => from[i % from.Length])];
            return t.Type switch
            {
                ElementType.Int64 => Tensor.From<long>(t.Name, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, long>(bytes), dims),
                ElementType.Int32 => Tensor.From<int>(t.Name, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, int>(bytes), dims),
                ElementType.Bool => Tensor.From<bool>(t.Name, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, bool>(bytes), dims),
                _ => t,
            };
        }
        float[] old = t.ToFloats();
        (float low, float high) = old.Length == 0 ? (-1.5f, 1.5f) : (old.Min(), old.Max());
        float width = high - low;
        return CaseData.F(dims, low + width * (0.017f + 0.0137f * index), high - width * 0.0053f * (index + 1), index + 3).Rename(t.Name);
    }
}
