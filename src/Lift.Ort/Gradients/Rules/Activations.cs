using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of activation functions; where ONNX Runtime has a training operator, the rule is that one node.</summary>
internal static class Activations
{
    /// <summary>y = max(x, 0) ⇒ dx = ReluGrad(dy, y)</summary>
    [Gradient("Relu")]
    public static Var?[] Relu(Backward b) => [b.Training("ReluGrad", b.Dy, b.Y)];

    /// <summary>y = σ(x) ⇒ dx = SigmoidGrad(dy, y) = dy · y · (1 − y)</summary>
    [Gradient("Sigmoid")]
    public static Var?[] Sigmoid(Backward b) => [b.Training("SigmoidGrad", b.Dy, b.Y)];

    /// <summary>y = tanh x ⇒ dx = TanhGrad(dy, y) = dy · (1 − y²)</summary>
    [Gradient("Tanh")]
    public static Var?[] Tanh(Backward b) => [b.Training("TanhGrad", b.Dy, b.Y)];

    /// <summary>y = x Φ(x) ⇒ dx = GeluGrad(dy, x)</summary>
    [Gradient("com.microsoft.Gelu")]
    public static Var?[] Gelu(Backward b) => [b.Training("GeluGrad", b.Dy, b.X())];

    /// <summary>The standard Gelu: exact, or with the tanh approximation.</summary>
    [Gradient("Gelu")]
    public static Var?[] StandardGelu(Backward b) => [b.Training(b.Node.String("approximate", "none") == "tanh" ? "FastGeluGrad" : "GeluGrad", b.Dy, b.X())];

    /// <summary>y = tanh-Gelu(x + bias) ⇒ dx = FastGeluGrad(dy, x + bias), dbias the same summed</summary>
    [Gradient("com.microsoft.FastGelu", Broadcasts = true)]
    public static Var?[] FastGelu(Backward b)
    {
        Var dx = b.Training("FastGeluGrad", b.Dy, b.HasX(1) ? b.X() + b.X(1) : b.X());
        return [dx, dx];
    }

    /// <summary>y = Gelu(x + bias) ⇒ dx = GeluGrad(dy, x + bias), dbias the same summed</summary>
    [Gradient("com.microsoft.BiasGelu", Broadcasts = true)]
    public static Var?[] BiasGelu(Backward b)
    {
        Var dx = b.Training("GeluGrad", b.Dy, b.X() + b.X(1));
        return [dx, dx];
    }

    /// <summary>y = x σ(αx) ⇒ dx = QuickGeluGrad(dy, x)</summary>
    [Gradient("com.microsoft.QuickGelu")]
    public static Var?[] QuickGelu(Backward b) =>
        [b.Graph.Add("QuickGeluGrad", [b.Dy, b.X()], n => n.With("alpha", b.Node.Float("alpha", 1.702f)), "com.microsoft")];

    /// <summary>y = x > 0 ? x : αx ⇒ dx = x > 0 ? dy : α dy</summary>
    [Gradient("LeakyRelu")]
    public static Var?[] LeakyRelu(Backward b) => [b.Positive(b.X()).Where(b.Dy, b.Dy * b.Node.Float("alpha", 0.01f))];

    /// <summary>y = x > 0 ? x : s x ⇒ dx = x > 0 ? dy : s dy, ds = x > 0 ? 0 : x dy</summary>
    [Gradient("PRelu", Broadcasts = true)]
    public static Var?[] PRelu(Backward b)
    {
        Var positive = b.Positive(b.X());
        return [positive.Where(b.Dy, b.Dy * b.X(1)), positive.Where(b.Dy.Like(0), b.Dy * b.X())];
    }

    /// <summary>y = x > 0 ? x : α (eˣ − 1) ⇒ dx = x > 0 ? dy : dy (y + α)</summary>
    [Gradient("Elu")]
    public static Var?[] Elu(Backward b) => [b.Positive(b.X()).Where(b.Dy, b.Dy * (b.Y + b.Node.Float("alpha", 1)))];

    /// <summary>y = γ (x > 0 ? x : α (eˣ − 1)) ⇒ dx = x > 0 ? γ dy : dy (y + γα)</summary>
    [Gradient("Selu")]
    public static Var?[] Selu(Backward b)
    {
        float alpha = b.Node.Float("alpha", 1.67326319f), gamma = b.Node.Float("gamma", 1.05070102f);
        return [b.Positive(b.X()).Where(b.Dy * gamma, b.Dy * (b.Y + gamma * alpha))];
    }

    /// <summary>y = max(x, 0) + min(0, α (e^(x/α) − 1)) ⇒ dx = x > 0 ? dy : dy e^(x/α)</summary>
    [Gradient("Celu")]
    public static Var?[] Celu(Backward b) => [b.Positive(b.X()).Where(b.Dy, b.Dy * (b.X() / b.Node.Float("alpha", 1)).Exp())];

    /// <summary>y = min(max(αx + β, 0), 1) ⇒ dx = 0 &lt; y &lt; 1 ? α dy : 0</summary>
    [Gradient("HardSigmoid")]
    public static Var?[] HardSigmoid(Backward b) => [Inside(b, b.Y, 0, 1).Where(b.Dy * b.Node.Float("alpha", 0.2f), b.Dy.Like(0))];

    /// <summary>y = x · min(max(x/6 + ½, 0), 1) ⇒ dx = dy (x/3 + ½) where −3 ≤ x ≤ 3, dy above, 0 below</summary>
    [Gradient("HardSwish")]
    public static Var?[] HardSwish(Backward b)
    {
        Var x = b.X(), inner = b.Graph.Add("LessOrEqual", [x, x.Like(3)]).Where(b.Dy * (x / 3 + 0.5), b.Dy);
        return [b.Graph.Add("Less", [x, x.Like(-3)]).Where(b.Dy.Like(0), inner)];
    }

    /// <summary>y = x t, t = tanh(softplus x) ⇒ dx = dy (t + x (1 − t²) σ(x))</summary>
    [Gradient("Mish")]
    public static Var?[] Mish(Backward b)
    {
        Var t = b.Unary("Tanh", b.Unary("Softplus", b.X()));
        return [b.Dy * (t + b.X() * (1 - t * t) * b.Unary("Sigmoid", b.X()))];
    }

    /// <summary>y = ln(1 + eˣ) ⇒ dx = dy σ(x)</summary>
    [Gradient("Softplus")]
    public static Var?[] Softplus(Backward b) => [b.Dy * b.Unary("Sigmoid", b.X())];

    /// <summary>y = x / (1 + |x|) ⇒ dx = dy / (1 + |x|)²</summary>
    [Gradient("Softsign")]
    public static Var?[] Softsign(Backward b)
    {
        Var s = b.Unary("Abs", b.X()) + 1;
        return [b.Dy / (s * s)];
    }

    /// <summary>y = x > α ? x : 0 ⇒ dx = x > α ? dy : 0</summary>
    [Gradient("ThresholdedRelu")]
    public static Var?[] ThresholdedRelu(Backward b) =>
        [b.Graph.Add("LessOrEqual", [b.X(), b.X().Like(b.Node.Float("alpha", 1))]).Where(b.Dy.Like(0), b.Dy)];

    /// <summary>y = x &lt; −λ ? x + bias : x > λ ? x − bias : 0 ⇒ dx = |x| > λ ? dy : 0</summary>
    [Gradient("Shrink")]
    public static Var?[] Shrink(Backward b)
    {
        Var bound = b.X().Like(b.Node.Float("lambd", 0.5f));
        Var outside = b.Graph.Add("Or", [b.Graph.Add("Less", [b.X(), -bound]), b.Graph.Add("Greater", [b.X(), bound])]);
        return [outside.Where(b.Dy, b.Dy.Like(0))];
    }

    private static Var Inside(Backward b, Var x, double low, double high) =>
        b.Graph.Add("And", [b.Graph.Add("Greater", [x, x.Like(low)]), b.Graph.Add("Less", [x, x.Like(high)])]);
}
