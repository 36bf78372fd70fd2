namespace Lift.Ort.Onnx;

/// <summary>A named value of a graph. Arithmetic on it appends nodes to that graph; both sides of an operator belong to the same graph.</summary>
public sealed record Var(Graph Graph, string Name)
{
    public TensorType Type => Graph.TypeOf(Name);

    public ElementType Element => Type.Element;

    public Shape? Shape => Type.Shape;

    public int? Rank => Type.Rank;

    public static Var operator +(Var a, Var b) => a.Graph.Add("Add", [a, b]);

    public static Var operator -(Var a, Var b) => a.Graph.Add("Sub", [a, b]);

    public static Var operator *(Var a, Var b) => a.Graph.Add("Mul", [a, b]);

    public static Var operator /(Var a, Var b) => a.Graph.Add("Div", [a, b]);

    public static Var operator -(Var a) => a.Graph.Add("Neg", [a]);

    public static Var operator +(Var a, double b) => a + a.Like(b);

    public static Var operator +(double a, Var b) => b.Like(a) + b;

    public static Var operator -(Var a, double b) => a - a.Like(b);

    public static Var operator -(double a, Var b) => b.Like(a) - b;

    public static Var operator *(Var a, double b) => a * a.Like(b);

    public static Var operator *(double a, Var b) => b.Like(a) * b;

    public static Var operator /(Var a, double b) => a / a.Like(b);

    public static Var operator /(double a, Var b) => b.Like(a) / b;

    /// <summary>A scalar constant of this value's element type.</summary>
    public Var Like(double value) => Graph.Scalar(value, Element);

    public override string ToString() => $"{Name} {Type}";
}
