namespace Lift.Ort.Devices.Cuda;

/// <summary>
/// A kernel argument in a slot of 8 bytes; one of 4 bytes lies in the low half, where the driver reads it (little-endian). A struct that is passed
/// by value is given as its address in host memory.
/// </summary>
internal readonly unsafe struct KernelArgument
{
    private readonly ulong bits;
    private readonly bool reference;

    private KernelArgument(ulong bits, bool reference = false) => (this.bits, this.reference) = (bits, reference);

    public static implicit operator KernelArgument(nint value) => new((ulong)value);

    public static implicit operator KernelArgument(long value) => new((ulong)value);

    public static implicit operator KernelArgument(int value) => new((uint)value);

    public static implicit operator KernelArgument(uint value) => new(value);

    public static implicit operator KernelArgument(float value) => new(BitConverter.SingleToUInt32Bits(value));

    public static implicit operator KernelArgument(double value) => new(BitConverter.DoubleToUInt64Bits(value));

    /// <summary>A struct, which must stay where it is until the launch returns.</summary>
    public static KernelArgument Of<T>(T* value) where T : unmanaged => new((ulong)value, true);

    /// <summary>Where the driver finds the argument; <paramref name="slot"/> is this argument itself.</summary>
    public static void* Place(KernelArgument* slot) => slot->reference ? (void*)slot->bits : slot;
}
