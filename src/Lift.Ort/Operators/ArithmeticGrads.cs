namespace Lift.Ort.Operators;

/// <summary>y = a / b ⇒ da = dy / b, db = −dy · a / b², each summed to its operand's shape.</summary>
internal sealed partial class DivGrad : FloatKernel
{
    public static readonly OperatorSchema Schema = new("DivGrad", ["dY: T", "A: T", "B: T"], ["dA?: T", "dB?: T"], _ => new DivGrad()) { OnCuda = true };
}

/// <summary>y = sin x ⇒ dx = dy · cos x. ONNX Runtime keeps it in the standard domain.</summary>
internal sealed partial class SinGrad : FloatKernel
{
    public static readonly OperatorSchema Schema = new("SinGrad", ["dY: T", "X: T"], ["dX: T"], _ => new SinGrad()) { Domain = "", InPlace = 0, OnCuda = true };
}

/// <summary>y = x brought to the grid of 8-bit numbers and back; the mask says where x was inside the grid.</summary>
internal sealed partial class FakeQuant(long low, long high) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "FakeQuant", ["input_tensor: T", "scale: T", "zero_point: T"], ["fake_quantized_tensor: T", "quantization_mask: bool"],
        n => new FakeQuant(n.Int("quant_min", 0), n.Int("quant_max", 255)))
    { OnCuda = true };
}

/// <summary>y = x on a grid ⇒ dx = dy where x was inside the grid, else 0 (the straight-through estimate).</summary>
internal sealed partial class FakeQuantGrad : FloatKernel
{
    public static readonly OperatorSchema Schema = new("FakeQuantGrad", ["dY: T", "gradient_mask: bool"], ["dX: T"], _ => new FakeQuantGrad()) { InPlace = 0, OnCuda = true };
}
