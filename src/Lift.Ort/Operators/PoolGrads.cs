namespace Lift.Ort.Operators;

/// <summary>
/// y = maximum of each window ⇒ dx is zero but for dx[Indices[i]] += dy[i]; Indices are flat positions in x. The operator has no input that tells x's size: that is
/// what the model declares for dX, the batch aside, which is dY's. ONNX Runtime keeps it in the standard domain.
/// </summary>
internal sealed partial class MaxPoolGrad(long[]? declared) : FloatKernel
{
    public static readonly OperatorSchema Schema = new("MaxPoolGrad", ["dY: T", "Indices: int64"], ["dX: T"], n => new MaxPoolGrad(n.OutputDims(0))) { Domain = "", OnCuda = true };
}

/// <summary>y = mean of each window ⇒ dx = dy / (elements that count), added to every element under the window; x's size is what the model declares for dX.</summary>
internal sealed partial class AveragePoolGrad(long[]? declared, WindowAttributes window, bool countPadding) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "AveragePoolGrad", ["dY: T"], ["dX: T"], n => new AveragePoolGrad(n.OutputDims(0), WindowAttributes.Of(n), n.Int("count_include_pad", 0) != 0))
    { Domain = "", OnCuda = true };
}

/// <summary>What pools share.</summary>
internal static class PoolGrad
{
    /// <summary>The declared dimensions with dY's batch (and channels, where those are not declared).</summary>
    /// <exception cref="ArgumentException">The model does not declare them.</exception>
    public static long[] Dims(long[]? declared, long[] dy)
    {
        if (declared is null || declared.Length != dy.Length || declared[2..].Any(d => d < 0))
            throw new ArgumentException("the model does not declare the sizes of dX in numbers, and the operator has nothing else to know them by; export the model with fixed image sizes");
        return [dy[0], declared[1] < 0 ? dy[1] : declared[1], .. declared[2..]];
    }
}
