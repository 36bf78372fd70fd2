namespace Lift.Ort.Operators;

/// <summary>
/// y = x ∗ w + b (any number of spatial axes, groups, strides, dilations, pads) ⇒ with the patches of x as columns: dw = dy · patchesᵀ,
/// dx = the patches of wᵀ · dy added where they came from, db = Σ dy over images and positions.
/// </summary>
internal sealed partial class ConvGrad(ConvGrad.Geometry geometry) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "ConvGrad",
        ["dY: T", "X: T", "W: T"],
        ["dX?: T", "dW?: T", "dB?: T"],
        n => new ConvGrad(new Geometry(n.String("auto_pad", "NOTSET"), n.Int("group", 1), n.Ints("strides"), n.Ints("dilations"), n.Ints("pads"))));

    /// <summary>How the kernel moves over the image; null is ONNX's default: ones, and no pads.</summary>
    internal sealed record Geometry(string AutoPad, long Groups, long[]? Strides, long[]? Dilations, long[]? Pads)
    {
        /// <summary>Offsets into one channel of the image, [kernel element, output position]; −1 in the padding.</summary>
        public int[] Offsets(ReadOnlySpan<long> image, ReadOnlySpan<long> kernel, ReadOnlySpan<long> output)
        {
            long window = CpuTensor.Product(kernel), places = CpuTensor.Product(output);
            int[] offsets = new int[window * places];
            for (long i = 0; i < offsets.Length; i++)
            {
                long offset = 0, scale = 1, k = i / places, p = i % places;
                for (int d = image.Length - 1; d >= 0; d--)
                {
                    long stride = Strides?[d] ?? 1, dilation = Dilations?[d] ?? 1;
                    long at = p % output[d] * stride + k % kernel[d] * dilation - Before(d, image[d], (kernel[d] - 1) * dilation + 1, output[d], stride);
                    offset = at < 0 || at >= image[d] ? -1 : offset < 0 ? -1 : offset + at * scale;
                    (scale, p, k) = (scale * image[d], p / output[d], k / kernel[d]);
                }
                offsets[i] = (int)offset;
            }
            return offsets;
        }

        private long Before(int axis, long image, long window, long output, long stride)
        {
            long total = Math.Max(0, (output - 1) * stride + window - image);
            return AutoPad switch { "SAME_UPPER" => total / 2, "SAME_LOWER" => (total + 1) / 2, "VALID" => 0, _ => Pads?[axis] ?? 0 };
        }
    }
}
