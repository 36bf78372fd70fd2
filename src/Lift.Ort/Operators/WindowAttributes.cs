namespace Lift.Ort.Operators;

/// <summary>How a convolution or pooling window moves, as a node says it; null is ONNX's default: ones, and no pads.</summary>
internal sealed record WindowAttributes(string AutoPad, long[]? Kernel, long[]? Strides, long[]? Dilations, long[]? Pads)
{
    public static WindowAttributes Of(NodeAttributes n) => new(n.String("auto_pad", "NOTSET"), n.Ints("kernel_shape"), n.Ints("strides"), n.Ints("dilations"), n.Ints("pads"));

    /// <summary>The window over images of these dimensions [batch, channels, spatial …].</summary>
    public Patches On(long[] image, ReadOnlySpan<long> kernel, long[] output)
    {
        int axes = image.Length - 2;
        if (kernel.Length != axes || output.Length != axes + 2) throw new ArgumentException($"a window of {kernel.Length} axes does not fit an image [{string.Join(", ", image)}] and a result [{string.Join(", ", output)}]");
        long[] strides = Strides ?? Ones(axes), dilations = Dilations ?? Ones(axes), before = new long[axes];
        for (int d = 0; d < axes; d++)
        {
            long total = Math.Max(0, (output[d + 2] - 1) * strides[d] + (kernel[d] - 1) * dilations[d] + 1 - image[d + 2]);
            before[d] = AutoPad switch { "SAME_UPPER" => total / 2, "SAME_LOWER" => (total + 1) / 2, "VALID" => 0, _ => Pads?[d] ?? 0 };
        }
        return new Patches(image.AsSpan(2..), kernel, output.AsSpan(2..), strides, dilations, before);
    }

    private static long[] Ones(int count)
    {
        var ones = new long[count];
        Array.Fill(ones, 1);
        return ones;
    }
}
