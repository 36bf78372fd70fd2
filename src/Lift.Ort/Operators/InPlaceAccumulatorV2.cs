namespace Lift.Ort.Operators;

/// <summary>
/// Adds a gradient to its buffer, in the buffer's own memory (input 0 is changed), or replaces the buffer where <c>overwrite_flag</c> is true.
/// Says true; the buffer's new value can be had as a second output.
/// </summary>
internal sealed partial class InPlaceAccumulatorV2 : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "InPlaceAccumulatorV2",
        ["accumulation_buffer: T", "value: T", "overwrite_flag?: bool"],
        ["updated_flag: bool", "accumulation_buffer_out?: T"],
        _ => new InPlaceAccumulatorV2())
    { OnCuda = true };
}
