using Lift.Ort.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Edges of every kind of rule: empty dimensions, scalars, negative axes, equals, and the forms of old and new opsets.</summary>
[GradientCaseGroup]
internal static class EdgeCases
{
    private static readonly string[] unary = "Neg Exp Sin Cos Erf Identity Sigmoid Tanh Relu Abs LeakyRelu Softplus Elu HardSigmoid".Split(' ');

    private static readonly string[] binary = "Add Sub Mul Max Min".Split(' ');

    private static readonly string[] reductions = "ReduceSum ReduceMean ReduceL2 ReduceSumSquare ReduceLogSumExp ReduceProd ReduceMax ReduceMin".Split(' ');

    public static Dictionary<string, GradientCase[]> Cases
    {
        get
        {
            var cases = new Dictionary<string, List<GradientCase>>();
            void Give(string op, params IEnumerable<GradientCase> more)
            {
                if (!cases.TryGetValue(op, out var list)) cases[op] = list = [];
                list.AddRange(more.Select(c => c with { Step = 1e-3f }));
            }
            foreach (string op in unary) Give(op, new GradientCase("empty", [F([0, 3])]), new("four axes", [F([1, 2, 1, 3], 0.2f, 1.4f)]));
            foreach (string op in binary)
            {
                Give(op, new GradientCase("empty with a row", [F([0, 3]), F([3])]), new("scalar first", [F([]), F([2, 3], seed: 2)]), new("both sides repeat", [F([2, 1, 3]), F([4, 1], -1.4f, 1.3f, 2)]), new("one element in many axes", [F([2, 3]), F([1, 1, 1], 0.33f, 0.33f)]));
            }
            foreach (string op in reductions)
            {
                bool input = op == "ReduceSum";
                foreach (bool keep in new[] { true, false })
                {
                    Tensor x = F([2, 3, 2], 0.3f, 1.5f);
                    Give(op, input ? new GradientCase($"axes -1 and 0, keepdims {keep}", [x, L(-1, 0)], n => n.With("keepdims", keep ? 1L : 0))
                        : new($"axes -1 and 0, keepdims {keep}", [x], n => n.With("axes", [-1L, 0]).With("keepdims", keep ? 1L : 0)));
                    Give(op, input ? new GradientCase($"everything, keepdims {keep}", [x], n => n.With("keepdims", keep ? 1L : 0)) : new($"everything, keepdims {keep}", [x], n => n.With("keepdims", keep ? 1L : 0)));
                    Give(op, new GradientCase($"axes as an input, keepdims {keep}", [x, L(-2)], n => n.With("keepdims", keep ? 1L : 0), Opset: op is "ReduceMax" or "ReduceMin" ? 20 : 18));
                }
                Give(op, new GradientCase("empty list of axes means all", [F([2, 3], 0.3f, 1.5f), L()], Opset: 18), new("empty list of axes means none", [F([2, 3], 0.3f, 1.5f), L()], n => n.With("noop_with_empty_axes", 1L), Opset: 18));
            }
            Give("ReduceSum", new GradientCase("opset 11", [F([2, 3, 2])], n => n.With("axes", [-1L, 0]).With("keepdims", 0L), Opset: 11), new("empty", [F([0, 3]), L(1)]));
            Give("Softmax", new GradientCase("opset 11, axes from 1 on", [F([2, 3, 2])], Opset: 11), new("opset 12, last axis", [F([2, 3])], n => n.With("axis", -1L), Opset: 12), new("empty", [F([0, 3])]), new("one class", [F([3, 1])]), new("axis -2", [F([2, 3, 2])], n => n.With("axis", -2L)));
            Give("LogSoftmax", new GradientCase("opset 11, axes from 2 on", [F([2, 3, 2, 2])], n => n.With("axis", 2L), Opset: 11));
            Give("Squeeze", new GradientCase("opset 11", [F([2, 1, 3, 1])], n => n.With("axes", [1L, -1]), Opset: 11), new("negative", [F([1, 2, 1]), L(-1)]), new("to a scalar", [F([1, 1])]));
            Give("Unsqueeze", new GradientCase("opset 12", [F([2, 3])], n => n.With("axes", [0L, 3]), Opset: 12), new("scalar", [F([]), L(0, 1)]));
            Give("Split", new GradientCase("opset 11", [F([2, 5])], n => n.With("axis", 1L).With("split", [2L, 3]), 2, 11), new("a part of none", [F([3, 2]), L(3, 0)], n => n.With("axis", 0L), 2), new("uneven outputs", [F([5, 2])], n => n.With("num_outputs", 2L), 2, 18));
            Give("Dropout", new GradientCase("opset 11", [F([2, 3])], n => n.With("ratio", 0.4f), Opset: 11), new("ratio as an input", [F([2, 3]), S(0.4f)]) { Vary = [0] });
            Give("Clip", new GradientCase("opset 11", [F([2, 5]), S(-0.52f), S(0.93f)], Opset: 11) { Vary = [0] }, new("no bounds", [F([3])]));
            Give("Pad", new GradientCase("opset 11", [F([2, 3]), L(1, 0, 0, 2)], Opset: 11));
            Give("Concat", new GradientCase("with an empty part", [F([2, 0]), F([2, 3])], n => n.With("axis", 1L)), new("vectors", [F([2]), F([1]), F([3], seed: 2)], n => n.With("axis", -1L)));
            Give("Slice", new GradientCase("a start past the end", [F([4, 3]), L(6), L(9), L(0)]), new("nothing is left", [F([4, 3]), L(3), L(1), L(0)]), new("negative end", [F([4, 3]), L(0), L(-1), L(-1)]), new("int32 bounds", [F([4, 3]), Tensor.From<int>("i", [1], 1), Tensor.From<int>("i", [3], 1), Tensor.From<int>("i", [0], 1)]), new("negative axis and step", [F([2, 5]), L(-1), L(long.MinValue + 1), L(-1), L(-2)]));
            Give("Gather", new GradientCase("no index", [F([4, 3]), Tensor.From<long>("i", [], 0)]), new("int32, negative axis", [F([2, 4]), Tensor.From<int>("i", [-1, 0, -1], 3)], n => n.With("axis", -1L)), new("scalar of a vector", [F([4]), S(2L)]));
            Give("Expand", new GradientCase("scalar", [F([]), L(2, 3)]), new("to nothing", [F([1, 3]), L(0, 3)]), new("shorter shape", [F([2, 3]), L(3)]));
            Give("Reshape", new GradientCase("0 keeps a dimension", [F([2, 6]), L(0, 3, 2)]), new("to a scalar", [F([1, 1]), Tensor.From<long>("i", [], 0)]), new("empty", [F([0, 4]), L(2, 0)], n => n.With("allowzero", 1L)));
            Give("Transpose", new GradientCase("identity", [F([2, 3])], n => n.With("perm", [0L, 1])), new("vector", [F([3])]));
            Give("MatMul", new GradientCase("no rows", [F([0, 3]), F([3, 2])]), new("inner dimension 1", [F([2, 1]), F([1, 3])]), new("vector x batch broadcast", [F([2, 1, 1, 3]), F([2, 3, 2])]));
            Give("Where", new GradientCase("scalar branches", [B([2, 2], true, false, false, true), F([]), F([2, 1], seed: 2)]));
            Give("Tile", new GradientCase("never", [F([2, 3]), L(0, 1)]), new("scalar axes of 1", [F([1, 1]), L(2, 2)]));
            Give("Max", new GradientCase("equals, opset 12", [F([2, 3]), F([2, 3], seed: 2)], Opset: 12), new("one", [F([3])]), new("five", [F([3]), F([3], -1.4f, 1.6f, 2), F([3], -1.3f, 1.7f, 3), F([3], -1.2f, 1.8f, 4), F([3], -1.1f, 1.9f, 5)]));
            Give("CumSum", new GradientCase("opset 11", [F([2, 3]), S(1L)], Opset: 11) { Vary = [0] }, new("int32 axis", [F([2, 3]), Tensor.Scalar("s", -2)]) { Vary = [0] });
            Give("LayerNormalization", new GradientCase("a scale and bias for each example", [F([2, 3, 5]), F([2, 1, 5], 0.5f, 1.5f), F([2, 1, 5])]), new("a scale for all", [F([2, 4], -1.2f, 1.5f, 3), F([1], 0.5f, 1.5f)]));
            Give("LayerNormalization", new GradientCase("statistics are used too", [F([3, 5]), F([5], 0.5f, 1.5f), F([5])], Outputs: 3), new("statistics of two axes", [F([2, 3, 4]), F([3, 4], 0.5f, 1.5f)], n => n.With("axis", 1L), Outputs: 3));
            Give("SimplifiedLayerNormalization", new GradientCase("the statistic is used too", [F([3, 5]), F([5], 0.5f, 1.5f)], Outputs: 2), new GradientCase("a scale for each example", [F([2, 3, 5]), F([2, 1, 5], 0.5f, 1.5f)]));
            return cases.ToDictionary(c => c.Key, c => c.Value.ToArray());
        }
    }
}
