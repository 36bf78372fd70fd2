namespace Lift.Ort.Operators;

/// <summary>y = log softmax(x) ⇒ dx = dy − eʸ · Σ dy, the sum along the axis.</summary>
internal sealed partial class LogSoftmaxGrad(long axis, bool flatten) : FloatKernel
{
    public static readonly OperatorSchema Schema = new("LogSoftmaxGrad_13", ["dY: T", "X: T"], ["dX: T"], n => new LogSoftmaxGrad(n.Int("axis", -1), false)) { InPlace = 0, OnCuda = true };

    /// <summary>The form before opset 13: all axes from <c>axis</c> on are one.</summary>
    public static readonly OperatorSchema Flattened = new("LogSoftmaxGrad", ["dY: T", "X: T"], ["dX: T"], n => new LogSoftmaxGrad(n.Int("axis", 1), true)) { InPlace = 0, OnCuda = true };
}
