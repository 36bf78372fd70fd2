using System.Runtime.InteropServices;

namespace Lift.Ort.Onnx;

/// <summary>Standard operators as functions on <see cref="Var"/>; each appends one node (constants are added as initializers). The forms are those of opset 17 to 21.</summary>
public static class GraphOps
{
    /// <summary>A scalar constant. What 16 bits cannot say exactly is a float32 constant behind a Cast, so that a device that computes in float32 computes with the number itself.</summary>
    public static Var Scalar(this Graph g, double value, ElementType type) => type switch
    {
        ElementType.Float or ElementType.Undefined => g.Constant([(float)value], []),
        ElementType.Double => g.Constant([value], []),
        ElementType.Float16 when (float)(Half)value == (float)value => g.Constant([(Half)value], []),
        ElementType.Int64 => g.Constant([(long)value], []),
        ElementType.Int32 => g.Constant([(int)value], []),
        ElementType.Bool => g.Constant([value != 0], []),
        _ => g.Scalar(value, ElementType.Float).Cast(type),
    };

    public static Var Longs(this Graph g, params ReadOnlySpan<long> values) => g.Constant(values);

    public static Var MatMul(this Var a, Var b) => a.Graph.Add("MatMul", [a, b]);

    /// <summary>The same elements in another shape: 0 keeps the size of x along that axis, −1 is what is left.</summary>
    public static Var Reshape(this Var x, params ReadOnlySpan<long> dims) => x.Graph.Add("Reshape", [x, x.Graph.Longs(dims)]);

    /// <summary>The same elements in a shape that is computed, or that of another value: a 0 in it is an empty axis. With a −1 in it (what is left), a 0 keeps the size of x.</summary>
    public static Var Reshape(this Var x, Var shape) => x.Graph.ContentOf(shape.Name)?.Any(d => d.Value == -1) == true
        ? x.Graph.Add("Reshape", [x, shape])
        : x.Graph.Add("Reshape", [x, shape], n => n.With("allowzero", 1L));

    /// <summary>Axes in the order of <paramref name="permutation"/>. The identity adds no node: ONNX Runtime's GemmTransposeFusion takes any Transpose behind a Gemm for [1, 0].</summary>
    public static Var Transpose(this Var x, params long[] permutation) => permutation.Index().All(p => p.Item == p.Index)
        ? x
        : x.Graph.Add("Transpose", [x], n => n.With("perm", permutation));

    public static Var ShapeOf(this Var x) => x.Graph.Add("Shape", [x]);

    public static Var Cast(this Var x, ElementType type) => x.Element == type ? x : x.Graph.Add("Cast", [x], n => n.With("to", (long)type));

    public static Var Expand(this Var x, Var shape) => x.Graph.Add("Expand", [x, shape]);

    public static Var Squeeze(this Var x, params ReadOnlySpan<long> axes) => x.Graph.Add("Squeeze", [x, x.Graph.Longs(axes)]);

    public static Var Unsqueeze(this Var x, params ReadOnlySpan<long> axes) => x.Graph.Add("Unsqueeze", [x, x.Graph.Longs(axes)]);

    public static Var Concat(this Graph g, long axis, params IEnumerable<Var> parts) => g.Add("Concat", parts, n => n.With("axis", axis));

    public static Var Slice(this Var x, long start, long end, long axis) =>
        x.Graph.Add("Slice", [x, x.Graph.Longs(start), x.Graph.Longs(end), x.Graph.Longs(axis)]);

    public static Var Gather(this Var x, Var indices, long axis = 0) => x.Graph.Add("Gather", [x, indices], n => n.With("axis", axis));

    public static Var ReduceSum(this Var x, ReadOnlySpan<long> axes, bool keepDims = true) =>
        x.Graph.Add("ReduceSum", [x, x.Graph.Longs(axes)], n => n.With("keepdims", keepDims ? 1L : 0L));

    public static Var ReduceMean(this Var x, long[] axes, bool keepDims = true) => x.Reduce("ReduceMean", axes, keepDims);

    /// <summary>A reduction other than ReduceSum over <paramref name="axes"/>, which are an attribute below opset 18, an input from it on.</summary>
    public static Var Reduce(this Var x, string op, long[] axes, bool keepDims = true) => x.Graph.Opset >= 18
        ? x.Graph.Add(op, [x, x.Graph.Longs(axes)], n => n.With("keepdims", keepDims ? 1L : 0L))
        : x.Graph.Add(op, [x], n => n.With("axes", axes).With("keepdims", keepDims ? 1L : 0L));

    public static Var Where(this Var condition, Var then, Var otherwise) => condition.Graph.Add("Where", [condition, then, otherwise]);

    public static Var EqualTo(this Var a, Var b) => a.Graph.Add("Equal", [a, b]);

    public static Var Not(this Var a) => a.Graph.Add("Not", [a]);

    public static Var Exp(this Var x) => x.Graph.Add("Exp", [x]);

    public static Var Log(this Var x) => x.Graph.Add("Log", [x]);

    public static Var Sqrt(this Var x) => x.Graph.Add("Sqrt", [x]);

    public static Var Identity(this Var x, string? output = null) => x.Graph.Add("Identity", [x], output: output);

    /// <summary>The same numbers as a constant: no gradient passes.</summary>
    public static Var Detach(this Var x)
    {
        Var copy = x.Identity();
        x.Graph.Detached.Add(copy.Name);
        return copy;
    }

    /// <summary>A tensor of <paramref name="shape"/> (an int64 vector value) filled with <paramref name="value"/>.</summary>
    public static Var Filled(this Var shape, float value) => shape.Graph.Add("ConstantOfShape", [shape], n =>
    {
        var tensor = new TensorProto { DataType = (int)ElementType.Float, RawData = Google.Protobuf.ByteString.CopyFrom(MemoryMarshal.AsBytes<float>([value])) };
        tensor.Dims.Add(1);
        n.Set(new() { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor, T = tensor });
    });
}
