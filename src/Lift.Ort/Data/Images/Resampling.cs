namespace Lift.Ort.Data.Images;

/// <summary>
/// Changes an image's size as Pillow does: a separable filter whose support grows where the image shrinks, first across, then down, 8 bits after each pass with
/// 22 bits of fraction in between.
/// </summary>
internal static class Resampling
{
    private const int Fraction = 22;

    public static PixelImage Resize(PixelImage image, int width, int height, ImageFilter filter)
    {
        if (width < 1 || height < 1) throw new LiftException($"an image of {image.Width} x {image.Height} pixels cannot become {width} x {height}.");
        if (filter == ImageFilter.Nearest) return Nearest(image, width, height);
        PixelImage result = image;
        if (width != image.Width) result = Across(result, width, filter);
        return height == image.Height ? result : Turned(Across(Turned(result), height, filter));
    }

    private static PixelImage Nearest(PixelImage image, int width, int height)
    {
        byte[] pixels = new byte[width * height * image.Channels];
        for (int y = 0; y < height; y++)
        {
            int line = (int)((y + 0.5) * image.Height / height) * image.Width;
            for (int x = 0; x < width; x++)
            {
                int from = (line + (int)((x + 0.5) * image.Width / width)) * image.Channels;
                image.Pixels.AsSpan(from, image.Channels).CopyTo(pixels.AsSpan(((y * width) + x) * image.Channels));
            }
        }
        return new(width, height, image.Channels, pixels);
    }

    private static PixelImage Across(PixelImage image, int width, ImageFilter filter)
    {
        var (starts, weights) = Weights(image.Width, width, filter);
        int channels = image.Channels;
        byte[] pixels = new byte[width * image.Height * channels];
        for (int y = 0; y < image.Height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                int[] w = weights[x];
                for (int c = 0; c < channels; c++)
                {
                    int sum = 1 << (Fraction - 1), at = (((y * image.Width) + starts[x]) * channels) + c;
                    for (int i = 0; i < w.Length; i++) sum += w[i] * image.Pixels[at + (i * channels)];
                    pixels[(((y * width) + x) * channels) + c] = (byte)Math.Clamp(sum >> Fraction, 0, 255);
                }
            }
        }
        return new(width, image.Height, channels, pixels);
    }

    /// <summary>Rows become columns.</summary>
    private static PixelImage Turned(PixelImage image)
    {
        byte[] pixels = new byte[image.Pixels.Length];
        for (int y = 0; y < image.Height; y++)
        {
            for (int x = 0; x < image.Width; x++)
                image.Pixels.AsSpan(((y * image.Width) + x) * image.Channels, image.Channels).CopyTo(pixels.AsSpan(((x * image.Height) + y) * image.Channels));
        }
        return new(image.Height, image.Width, image.Channels, pixels);
    }

    private static (int[] Starts, int[][] Weights) Weights(int from, int to, ImageFilter filter)
    {
        double scale = (double)from / to, stretch = Math.Max(scale, 1), reach = Reach(filter) * stretch;
        var starts = new int[to];
        var weights = new int[to][];
        for (int i = 0; i < to; i++)
        {
            double centre = (i + 0.5) * scale;
            int first = Math.Max(0, (int)(centre - reach + 0.5)), end = Math.Min(from, (int)(centre + reach + 0.5));
            double[] w = [.. Enumerable.Range(first, end - first).Select(x => Value(filter, (x - centre + 0.5) / stretch))];
            double sum = w.Sum();
            starts[i] = first;
            weights[i] = [.. w.Select(v => v / (sum == 0 ? 1 : sum) * (1 << Fraction)).Select(v => (int)(v < 0 ? v - 0.5 : v + 0.5))];
        }
        return (starts, weights);
    }

    private static double Reach(ImageFilter filter) => filter switch
    {
        ImageFilter.Box => 0.5,
        ImageFilter.Bicubic => 2,
        ImageFilter.Lanczos => 3,
        _ => 1,
    };

    private static double Value(ImageFilter filter, double x)
    {
        x = filter == ImageFilter.Box ? x : Math.Abs(x);
        return filter switch
        {
            ImageFilter.Box => x is > -0.5 and <= 0.5 ? 1 : 0,
            ImageFilter.Bicubic => x < 1 ? (((1.5 * x) - 2.5) * x * x) + 1 : x < 2 ? (((((x - 5) * x) + 8) * x) - 4) * -0.5 : 0,
            ImageFilter.Lanczos => x < 3 ? Sinc(x) * Sinc(x / 3) : 0,
            ImageFilter.Hamming => x >= 1 ? 0 : Sinc(x) * (0.54 + (0.46 * Math.Cos(Math.PI * x))),
            _ => Math.Max(0, 1 - x),
        };
    }

    private static double Sinc(double x) => x == 0 ? 1 : Math.Sin(Math.PI * x) / (Math.PI * x);
}
