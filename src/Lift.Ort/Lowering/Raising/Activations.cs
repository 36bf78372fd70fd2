using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Raising;

/// <summary>
/// Gelu by the error function and by tanh, and x σ(αx), however their factors are ordered: the chain is read as A(x) + B(x) · t with polynomials A and B and one
/// function t = erf, tanh or σ of a polynomial of x.
/// </summary>
internal static class Activations
{
    private const int Degree = 3;

    /// <summary>A chain of more nodes than this is no activation.</summary>
    private const int Longest = 12;

    private static readonly double half = Math.Sqrt(0.5), root = Math.Sqrt(2 / Math.PI);

    /// <summary>½x (1 + erf(x/√2)) ⇒ Gelu, ½x (1 + tanh(√(2/π) (x + 0.044715 x³))) ⇒ FastGelu, x σ(αx) with α ≠ 1 ⇒ QuickGelu</summary>
    public static Node? Match(Chains c, Node last)
    {
        if (last.OpType is not ("Mul" or "Add" or "Div")) return null;
        if (Inner(c, last, 5) is not { } function) return null;
        foreach (string x in Candidates(c, function.Inputs[0]))
        {
            if (c.Graph.TypeOf(x).Element != ElementType.Float || new Reading(c, x, null).Of(function.Inputs[0]) is not { B: null, A: var u }) continue;
            if (new Reading(c, x, function).Of(last.Outputs[0]) is not { } read) continue;
            if (Made(function.OpType, u, read.A, read.B) is not var (op, alpha)) continue;
            var made = new Node(op, "com.microsoft", [x], []);
            return alpha is { } a ? made.With("alpha", (float)a) : made;
        }
        return null;
    }

    private static (string Op, double? Alpha)? Made(string function, double[] u, double[] a, double[]? b) => function switch
    {
        "Erf" when Is(u, half) && Is(a, 0.5) && Is(b, 0.5) => ("Gelu", null),
        "Tanh" when Is(u, root, root * 0.044715) && Is(a, 0.5) && Is(b, 0.5) => ("FastGelu", null),
        "Sigmoid" when u[1] != 0 && u[1] != 1 && Is(u, u[1]) && Is(a, 0) && Is(b, 1) => ("QuickGelu", u[1]),
        _ => null,
    };

    /// <summary>True for <paramref name="first"/> · x + <paramref name="third"/> · x³, as near as float32 constants come.</summary>
    private static bool Is(double[]? p, double first, double third = 0) =>
        p is not null && Math.Abs(p[0]) < 1e-12 && Math.Abs(p[1] - first) <= 1e-6 * first && Math.Abs(p[2]) < 1e-12 && Math.Abs(p[3] - third) <= 2e-6 * third;

    /// <summary>The one function that a short chain of sums and products ends in.</summary>
    private static Node? Inner(Chains c, Node node, int depth)
    {
        foreach (string input in node.Inputs)
        {
            if (c.Maker(input) is not { Domain.Length: 0 } maker) continue;
            if (maker.OpType is "Erf" or "Tanh" or "Sigmoid") return maker;
            if (depth > 0 && maker.OpType is "Mul" or "Add" or "Div" && Inner(c, maker, depth - 1) is { } found) return found;
        }
        return null;
    }

    /// <summary>Values of which the argument may be a polynomial: it, and what it is computed from with numbers alone.</summary>
    private static IEnumerable<string> Candidates(Chains c, string argument)
    {
        var seen = new List<string> { c.Source(argument) };
        for (int i = 0; i < seen.Count && i < Longest; i++)
        {
            if (c.Maker(seen[i]) is not { Domain.Length: 0, OpType: "Mul" or "Add" or "Div" or "Pow" } node) continue;
            foreach (string input in node.Inputs.Where(v => c.Number(v) is null).Select(c.Source)) if (!seen.Contains(input)) seen.Add(input);
        }
        return seen;
    }

    /// <summary>Reads values as A(x) + B(x) · t.</summary>
    private sealed class Reading(Chains c, string x, Node? function)
    {
        private int steps;

        /// <summary>Coefficients from the constant on; B is null where t does not occur. Null: no such form.</summary>
        public (double[] A, double[]? B)? Of(string value)
        {
            if (c.Same(value, x)) return ([0, 1, 0, 0], null);
            if (c.Number(value) is { } number) return ([number, 0, 0, 0], null);
            if (++steps > Longest || c.Maker(value) is not { Domain.Length: 0 } node) return null;
            if (ReferenceEquals(node, function)) return (new double[Degree + 1], [1, 0, 0, 0]);
            if (node.Inputs.Count != 2 || node.OpType is not ("Add" or "Sub" or "Mul" or "Div" or "Pow") || Of(node.Inputs[0]) is not { } left) return null;
            if (node.OpType == "Pow") return left.B is null && c.Number(node.Inputs[1]) is 2 or 3 ? Power(left.A, (int)c.Number(node.Inputs[1])!.Value) : null;
            if (node.OpType == "Div") return c.Number(node.Inputs[1]) is { } divisor && divisor != 0 ? (Scale(left.A, 1 / divisor), left.B is null ? null : Scale(left.B, 1 / divisor)) : null;
            if (Of(node.Inputs[1]) is not { } right) return null;
            if (node.OpType != "Mul") return (Sum(left.A, right.A, node.OpType == "Sub" ? -1 : 1), left.B is null ? right.B is null ? null : Scale(right.B, node.OpType == "Sub" ? -1 : 1) : Sum(left.B, right.B ?? new double[Degree + 1], node.OpType == "Sub" ? -1 : 1));
            if (left.B is not null && right.B is not null) return null;
            if (Times(left.A, right.A) is not { } a) return null;
            if (left.B is null && right.B is null) return (a, null);
            return (left.B is null ? Times(left.A, right.B!) : Times(left.B, right.A)) is { } b ? (a, b) : null;
        }

        private static (double[] A, double[]? B)? Power(double[] p, int exponent)
        {
            double[]? result = Times(p, p);
            if (exponent == 3 && result is not null) result = Times(result, p);
            return result is null ? null : (result, null);
        }

        private static double[] Scale(double[] p, double by) => [.. p.Select(v => v * by)];

        private static double[] Sum(double[] p, double[] q, double sign) => [.. p.Zip(q, (a, b) => a + sign * b)];

        /// <summary>The product, or null where it has a higher degree than an activation has.</summary>
        private static double[]? Times(double[] p, double[] q)
        {
            var product = new double[2 * Degree + 1];
            for (int i = 0; i <= Degree; i++)
                for (int j = 0; j <= Degree; j++) product[i + j] += p[i] * q[j];
            return product[(Degree + 1)..].All(v => v == 0) ? product[..(Degree + 1)] : null;
        }
    }
}
