using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Operators;

/// <summary>A node, its inputs, and what a plain loop in double precision makes of them.</summary>
internal sealed record OperatorCase(OneNode Node, TestTensor?[] Inputs, params TestTensor[] Expected)
{
    public bool HasFallback { get; init; } = true;

    /// <summary>Largest difference, relative to the largest expected number.</summary>
    public double Tolerance { get; init; } = 2e-6;

    public void Check(ElementType type, Func<OneNode, OneNode>? change = null)
    {
        TestTensor[] expected = [.. Expected.Select(e => Typed(e, type)!)];
        TestTensor[] actual = (change?.Invoke(Node) ?? Node).Run([.. Inputs.Select(i => Typed(i, type))]);
        Assert.HasCount(expected.Length, actual, ToString());
        foreach (var (e, a) in expected.Zip(actual))
        {
            Assert.AreEqual(e.Type, a.Type, ToString());
            CollectionAssert.AreEqual(e.Dims, a.Dims, $"{this}: shape [{string.Join(", ", a.Dims)}]");
            double largest = e.Values.Select(Math.Abs).DefaultIfEmpty().Max(), scale = largest > 1e-5 ? largest : 1; // zero by cancellation is compared with 1
            double tolerance = e.Type switch { ElementType.Float => Tolerance, ElementType.Double => 1e-12, _ => 0 };
            for (int i = 0; i < e.Values.Length; i++)
                if (!(Math.Abs(e.Values[i] - a.Values[i]) <= tolerance * scale)) Assert.Fail($"{this}, {type}: element {i} of [{string.Join(", ", e.Dims)}] is {a.Values[i]}, not {e.Values[i]}");
        }
    }

    public override string ToString() =>
        $"{Node.Operator}({string.Join(", ", Node.Attributes)}) of {string.Join(", ", Inputs.Select(i => i is null ? "–" : $"[{string.Join(", ", i.Dims)}]"))}";

    private static TestTensor? Typed(TestTensor? tensor, ElementType type) => tensor?.Type == ElementType.Float ? tensor.As(type) : tensor;
}

/// <summary>A tensor of doubles that is addressed by position, for plain loops.</summary>
internal sealed class Grid(long[] dims, double[] values)
{
    public long[] Dims { get; } = dims;

    public double[] Values { get; } = values;

    public int Rank => Dims.Length;

    public ref double this[params ReadOnlySpan<long> at] => ref Values[Offset(at)];

    [return: System.Diagnostics.CodeAnalysis.NotNullIfNotNull(nameof(g))]
    public static implicit operator TestTensor?(Grid? g) => g is null ? null : new(ElementType.Float, g.Dims, g.Values);

    public static Grid Zeros(params long[] dims) => new(dims, new double[dims.Aggregate(1L, (a, b) => a * b)]);

    /// <summary>Standard normal numbers, each one exactly a float.</summary>
    public static Grid Normal(int seed, params long[] dims)
    {
        var random = new Random(seed);
        Grid g = Zeros(dims);
        for (int i = 0; i < g.Values.Length; i++)
            g.Values[i] = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        return g;
    }

    public Grid Map(Func<double, double> f) => new(Dims, Array.ConvertAll(Values, v => (double)(float)f(v)));

    /// <summary>f of the elements of both, without rounding.</summary>
    public Grid Zip(Grid other, Func<double, double, double> f) => new(Dims, [.. Values.Zip(other.Values, f)]);

    /// <summary>All positions, the last axis fastest.</summary>
    public IEnumerable<long[]> Positions()
    {
        for (long i = 0; i < Values.Length; i++)
        {
            long[] at = new long[Rank];
            for (long d = Rank - 1, rest = i; d >= 0; rest /= Dims[d], d--) at[d] = rest % Dims[d];
            yield return at;
        }
    }

    /// <summary>The offsets of each slice along <paramref name="axis"/>.</summary>
    public IEnumerable<int[]> SlicesAlong(long axis)
    {
        long a = axis < 0 ? axis + Rank : axis;
        return Positions().Where(p => p[a] == 0).Select(p => Enumerable.Range(0, (int)Dims[a]).Select(k =>
        {
            long[] at = [.. p];
            at[a] = k;
            return Offset(at);
        }).ToArray());
    }

    private int Offset(ReadOnlySpan<long> at)
    {
        long offset = 0;
        for (int d = 0; d < Rank; d++) offset = offset * Dims[d] + at[d];
        return (int)offset;
    }
}
