namespace Lift.Ort.Data.Images;

/// <summary>One channel of a JPEG: its coefficients, block by block, and then its samples.</summary>
internal sealed class JpegPlane
{
    public static readonly int[] Zigzag =
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ];

    private static readonly float[] cosines = Cosines();

    private readonly short[] coefficients;
    private readonly int padded; // blocks across, padding included

    public JpegPlane(int id, int h, int v, int mostH, int mostV, int quantiser, int width, int height)
    {
        (Id, H, V, MostH, MostV, Quantiser) = (id, h, v, mostH, mostV, quantiser);
        (Width, Height) = (((width * h) + mostH - 1) / mostH, ((height * v) + mostV - 1) / mostV);
        (BlocksAcross, BlocksDown) = ((Width + 7) / 8, (Height + 7) / 8);
        padded = (width + (8 * mostH) - 1) / (8 * mostH) * h;
        coefficients = new short[checked(padded * ((height + (8 * mostV) - 1) / (8 * mostV) * v) * 64)];
    }

    public int Id { get; }

    public int H { get; }

    public int V { get; }

    /// <summary>The largest sampling factors of all channels.</summary>
    public int MostH { get; }

    public int MostV { get; }

    public int Quantiser { get; }

    /// <summary>Samples across, without padding.</summary>
    public int Width { get; }

    public int Height { get; }

    public int BlocksAcross { get; }

    public int BlocksDown { get; }

    /// <summary>The constant part of the block before.</summary>
    public int Predicted { get; set; }

    /// <summary>Width · Height samples, after <see cref="Transform"/>.</summary>
    public byte[] Samples { get; private set; } = [];

    public Span<short> Block(int x, int y) => coefficients.AsSpan(((y * padded) + x) * 64, 64);

    /// <summary>The inverse cosine transform of every block: rows, then columns.</summary>
    public void Transform(int[] quantiser)
    {
        Samples = new byte[checked(Width * Height)];
        Span<float> input = stackalloc float[64], half = stackalloc float[64];
        for (int by = 0; by < BlocksDown; by++)
        {
            for (int bx = 0; bx < BlocksAcross; bx++)
            {
                Span<short> block = Block(bx, by);
                for (int i = 0; i < 64; i++) input[i] = block[i] * quantiser[i];
                for (int row = 0; row < 8; row++)
                {
                    for (int x = 0; x < 8; x++)
                    {
                        float sum = 0;
                        for (int u = 0; u < 8; u++) sum += input[(row * 8) + u] * cosines[(x * 8) + u];
                        half[(row * 8) + x] = sum;
                    }
                }
                int right = Math.Min(8, Width - (bx * 8)), bottom = Math.Min(8, Height - (by * 8));
                for (int y = 0; y < bottom; y++)
                {
                    for (int x = 0; x < right; x++)
                    {
                        float sum = 128.5f;
                        for (int v = 0; v < 8; v++) sum += half[(v * 8) + x] * cosines[(y * 8) + v];
                        Samples[(((by * 8) + y) * Width) + (bx * 8) + x] = (byte)Math.Clamp((int)MathF.Floor(sum), 0, 255);
                    }
                }
            }
        }
    }

    /// <summary>cosines[x, u] = c(u)/2 · cos((2x + 1) u π / 16)</summary>
    private static float[] Cosines() =>
        [.. from x in Enumerable.Range(0, 8) from u in Enumerable.Range(0, 8) select (float)((u == 0 ? Math.Sqrt(0.125) : 0.5) * Math.Cos(((2 * x) + 1) * u * Math.PI / 16))];
}
