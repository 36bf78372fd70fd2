using System.Numerics;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

/// <summary>
/// One node's computation; made when the session opens, with the node's attributes. Several threads may run it at a time: it keeps no
/// state between runs. Each device has its own <c>Run</c>.
/// </summary>
internal abstract class OperatorKernel
{
    /// <summary>The CPU half: the specification, and the product where there is no GPU.</summary>
    /// <exception cref="Exception">Becomes the run's error in ONNX Runtime, with its message.</exception>
    public abstract void Run(CpuContext context);

    /// <summary>Called once, before the first run, where the CPU half will run: the place to take kernels of ONNX Runtime's own (<see cref="RuntimeGemm"/>).</summary>
    public virtual void Open(NodeAttributes node, ElementType[] inputTypes) { }

    /// <summary>Called when the session closes.</summary>
    public virtual void Close() { }
}

/// <summary>A kernel whose first input decides between float and double.</summary>
internal abstract class FloatKernel : OperatorKernel
{
    public sealed override void Run(CpuContext context)
    {
        if (context.Input(TypedInput).Type == ElementType.Double) Run<double>(context);
        else Run<float>(context);
    }

    /// <summary>The index of an input that has the floating-point type.</summary>
    protected virtual int TypedInput => 0;

    protected abstract void Run<T>(CpuContext context) where T : unmanaged, IFloatingPointIeee754<T>;
}
