using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Lift.Ort.Devices.Cuda;

/// <summary>Up to eight dimensions, or strides, as kernels take them by value: <c>struct Dims { long long at[8]; }</c> of common.cuh.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Dims
{
    public const int Most = 8;

    private Eight at;

    public static Dims Of(ReadOnlySpan<long> values)
    {
        if (values.Length > Most) throw new NotSupportedException($"a tensor of {values.Length} dimensions; kernels take up to {Most}");
        var dims = default(Dims);
        for (int i = 0; i < Most; i++) dims.at[i] = i < values.Length ? values[i] : 1;
        return dims;
    }

    [InlineArray(Most)]
    private struct Eight
    {
        private long first;
    }
}
