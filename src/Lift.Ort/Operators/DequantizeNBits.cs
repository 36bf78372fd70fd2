namespace Lift.Ort.Operators;

/// <summary>
/// Numbers of 2, 4 or 8 bits, packed into bytes from the lowest bits up, as floats: y [rows, blocks · size] = (q − zero) · scale. <c>packed</c> is [rows, blocks, bytes];
/// <c>scale</c> and <c>zero</c> broadcast to [rows, blocks, size], size being bytes · 8 / bits. What MatMulNBits does to its weight before it multiplies.
/// </summary>
internal sealed partial class DequantizeNBits(long bits) : FloatKernel
{
    public static readonly OperatorSchema Schema = new("DequantizeNBits", ["packed: uint8", "scale: T", "zero: T"], ["y: T"], n => new DequantizeNBits(n.Int("bits", 4)))
    { OnCuda = true };

    protected override int TypedInput => 1;
}
