namespace Lift.Ort.Gradients;

/// <summary>Marks the method that is the gradient rule of an operator ("MatMul", "com.microsoft.FusedMatMul").</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class GradientAttribute(string op) : Attribute
{
    public string Operator { get; } = op;

    /// <summary>True when inputs broadcast: <see cref="BackwardPass"/> then sums every gradient back to its input's shape.</summary>
    public bool Broadcasts { get; init; }
}

/// <summary>Declares operators through which no gradient flows: their outputs are constant, integer or boolean in the trained weights.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class NoGradientAttribute(params string[] ops) : Attribute
{
    public string[] Operators { get; } = ops;
}
