using System.Collections.Immutable;

namespace Lift.Ort.Onnx;

/// <summary>One dimension: a number, a name that stands for an unknown number (equal names are equal numbers), or unknown.</summary>
public readonly record struct Dim(long? Value, string? Symbol)
{
    public static readonly Dim Unknown = default;

    public static implicit operator Dim(long value) => new(value, null);

    public static implicit operator Dim(string symbol) => new(null, symbol);

    public bool IsKnown => Value is not null;

    /// <summary>True when both are certainly the same number.</summary>
    public bool SameAs(Dim other) => Value is { } v ? v == other.Value : Symbol is not null && Symbol == other.Symbol;

    public override string ToString() => Value?.ToString() ?? Symbol ?? "?";
}

/// <summary>The dimensions of a tensor of known rank; a dimension may be a number, a symbol or unknown.</summary>
public sealed class Shape(params ImmutableArray<Dim> dims) : IEquatable<Shape>
{
    public static readonly Shape Scalar = new();

    public ImmutableArray<Dim> Dims { get; } = dims.IsDefault ? [] : dims;

    public int Rank => Dims.Length;

    /// <summary>The dimension at <paramref name="axis"/>; negative axes count from the end.</summary>
    public Dim this[int axis] => Dims[axis < 0 ? axis + Rank : axis];

    public bool IsStatic => Dims.All(d => d.IsKnown);

    /// <summary>Number of elements, or null when a dimension is not a number.</summary>
    public long? Count => IsStatic ? Dims.Aggregate(1L, (n, d) => checked(n * d.Value!.Value)) : null;

    public static Shape Of(IEnumerable<long> dims) => new([.. dims.Select(d => (Dim)d)]);

    /// <summary>True when every dimension of both is certainly the same.</summary>
    public bool SameAs(Shape? other) => other is not null && Rank == other.Rank && Dims.Zip(other.Dims).All(p => p.First.SameAs(p.Second));

    public bool Equals(Shape? other) => other is not null && Dims.SequenceEqual(other.Dims);

    public override bool Equals(object? obj) => Equals(obj as Shape);

    public override int GetHashCode() => Dims.Aggregate(Rank, HashCode.Combine);

    public override string ToString() => $"[{string.Join(", ", Dims)}]";
}

/// <summary>What is known of a tensor value: the type of its elements and its shape; <c>Shape</c> is null when even the rank is unknown.</summary>
public sealed record TensorType(ElementType Element, Shape? Shape)
{
    public static readonly TensorType Unknown = new(ElementType.Undefined, null);

    public int? Rank => Shape?.Rank;

    public override string ToString() => $"{Element.ToString().ToLowerInvariant()}{Shape?.ToString() ?? "[...]"}";
}
