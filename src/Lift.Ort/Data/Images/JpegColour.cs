namespace Lift.Ort.Data.Images;

/// <summary>Channels of different sizes to pixels: halved channels are widened with a triangle filter, then YCbCr becomes RGB (JFIF).</summary>
internal static class JpegColour
{
    /// <param name="plain">True where the channels are red, green and blue themselves.</param>
    public static PixelImage Compose(JpegPlane[] planes, int width, int height, bool plain)
    {
        byte[][] full = [.. planes.Select(p => Widen(p, width, height))];
        if (full.Length == 1) return new(width, height, 1, full[0]);
        byte[] pixels = new byte[checked(width * height * 3)];
        for (int i = 0; i < width * height; i++)
        {
            int y = full[0][i], cb = full[1][i] - 128, cr = full[2][i] - 128;
            if (plain) (pixels[3 * i], pixels[(3 * i) + 1], pixels[(3 * i) + 2]) = (full[0][i], full[1][i], full[2][i]);
            else
            {
                pixels[3 * i] = Byte(y + (((91881 * cr) + 32768) >> 16)); // 1.402
                pixels[(3 * i) + 1] = Byte(y + (((-22554 * cb) - (46802 * cr) + 32768) >> 16)); // 0.34414, 0.71414
                pixels[(3 * i) + 2] = Byte(y + (((116130 * cb) + 32768) >> 16)); // 1.772
            }
        }
        return new(width, height, 3, pixels);
    }

    private static byte Byte(int value) => (byte)Math.Clamp(value, 0, 255);

    private static byte[] Widen(JpegPlane p, int width, int height)
    {
        if (p.Width == width && p.Height == height) return p.Samples;
        bool half = 2 * p.H == p.MostH && p.Width > 2;
        if (half && p.V == p.MostV) return Smooth(p, width, height, false);
        if (half && 2 * p.V == p.MostV) return Smooth(p, width, height, true);

        byte[] wide = new byte[width * height];
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++) wide[(y * width) + x] = p.Samples[(Math.Min(p.Height - 1, y * p.V / p.MostV) * p.Width) + Math.Min(p.Width - 1, x * p.H / p.MostH)];
        }
        return wide;
    }

    /// <summary>Each new sample is ¾ of the nearer and ¼ of the farther one, along both axes where <paramref name="down"/>.</summary>
    private static byte[] Smooth(JpegPlane p, int width, int height, bool down)
    {
        byte[] wide = new byte[width * height], s = p.Samples;
        for (int y = 0; y < height; y++)
        {
            int near = down ? y / 2 : y, far = !down ? near : Math.Clamp(y % 2 == 0 ? near - 1 : near + 1, 0, p.Height - 1);
            for (int x = 0; x < width; x++)
            {
                int at = x / 2, beside = Math.Clamp(x % 2 == 0 ? at - 1 : at + 1, 0, p.Width - 1);
                int here = Column(at), there = Column(beside);
                wide[(y * width) + x] = (byte)(down ? ((3 * here) + there + (x % 2 == 0 ? 8 : 7)) >> 4 : ((3 * here) + there + (x % 2 == 0 ? 1 : 2)) >> 2);
            }

            int Column(int x) => down ? (3 * s[(near * p.Width) + x]) + s[(far * p.Width) + x] : s[(near * p.Width) + x];
        }
        return wide;
    }
}
