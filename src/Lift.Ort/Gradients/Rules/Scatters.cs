using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of ScatterElements and ScatterND: the same formulae, said with GatherElements and GatherND.</summary>
internal static class Scatters
{
    /// <summary>y = x with updates u put, added, multiplied or compared in at the indices; see <see cref="Both"/></summary>
    [Gradient("ScatterElements")]
    public static Var?[] ScatterElements(Backward b)
    {
        long axis = b.Node.Int("axis");
        return Both(b, x => b.Graph.Add("GatherElements", [x, b.X(1)], n => n.With("axis", axis)), "ScatterElements", n => n.With("axis", axis));
    }

    /// <summary>y = x with slices u put, added, multiplied or compared in at the index tuples; see <see cref="Both"/></summary>
    [Gradient("ScatterND")]
    public static Var?[] ScatterND(Backward b) => Both(b, x => b.Graph.Add("GatherND", [x, b.X(1)]), "ScatterND", n => n);

    /// <summary>
    /// Put: dx = dy with zeros at the indices, du = dy there. Add: dx = dy, du = dy there. Multiply: dx = dy · Π u, du = dy · x · Π of the other u.
    /// Largest or smallest: dy goes to x or u where it is y, shared evenly between equals.
    /// </summary>
    private static Var?[] Both(Backward b, Func<Var, Var> gather, string op, Func<Node, Node> attributes)
    {
        Var x = b.X(0), u = b.X(2), dy = b.Dy;
        Var Scatter(Var into, Var updates, string reduction) =>
            b.Graph.Add(op, [into, b.X(1), updates], n => attributes(n).With("reduction", reduction));
        switch (b.Node.String("reduction", "none"))
        {
            case "none":
                return [b.Graph.Add(op, [dy, b.X(1), b.ZerosLike(u)], n => attributes(n)), null, gather(dy)];
            case "add":
                return [dy, null, gather(dy)];
            case "mul":
                Var zeroX = b.IsZero(x), zeroU = b.IsZero(u);
                Var zeros = Scatter(zeroX, zeroU, "add"), product = Scatter(x + zeroX, u + zeroU, "mul"); // of the factors that are not 0
                return [Scatter(dy, u, "mul"), null, b.Needs(2) ? gather(dy) * b.WithoutOne(u, zeroU, gather(zeros), gather(product)) : null];
            case "max" or "min":
                Var hitX = x.EqualTo(b.Y), hitU = u.EqualTo(gather(b.Y));
                Var share = dy / Scatter(hitX.Cast(x.Element), hitU.Cast(u.Element), "add");
                return [hitX.Where(share, share.Like(0)), null, hitU.Where(gather(share), share.Like(0))];
            default:
                throw b.Refuse($"reduction '{b.Node.String("reduction")}' is not supported");
        }
    }

    /// <summary>The product of all factors but one, x: from how many factors are 0, and the product of those that are not.</summary>
    /// <param name="zero">1 where x is 0, else 0.</param>
    public static Var WithoutOne(this Backward b, Var x, Var zero, Var zeros, Var product) =>
        (zeros - zero).EqualTo(x.Like(0)).Where(product / (x + zero), x.Like(0));
}
