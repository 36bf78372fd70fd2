using System.IO.Compression;

namespace Lift.Ort.Tests.Data;

/// <summary>Makes PNG files.</summary>
internal static class PngWriter
{
    /// <summary>A PNG file whose lines use all five filters in turn.</summary>
    public static byte[] Png(int[,,] values, int colour, int depth, bool interlaced)
    {
        int height = values.GetLength(0), width = values.GetLength(1), samples = values.GetLength(2);
        using var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            (int X, int Y, int Dx, int Dy)[] passes = interlaced ? [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)] : [(0, 0, 1, 1)];
            foreach (var p in passes)
            {
                int across = (width - p.X + p.Dx - 1) / p.Dx, stride = ((across * samples * depth) + 7) / 8, back = Math.Max(1, samples * depth / 8);
                byte[] above = new byte[stride];
                if (across <= 0) continue;
                for (int y = p.Y, n = 0; y < height; y += p.Dy, n++)
                {
                    byte[] line = new byte[stride], filtered = new byte[stride];
                    for (int i = 0; i < across * samples; i++)
                    {
                        int value = values[y, p.X + (i / samples * p.Dx), i % samples], bit = i * depth;
                        if (depth == 16) (line[2 * i], line[(2 * i) + 1]) = ((byte)(value >> 8), (byte)value);
                        else line[bit / 8] |= (byte)(value << (8 - depth - (bit % 8)));
                    }
                    for (int i = 0; i < stride; i++)
                    {
                        int a = i >= back ? line[i - back] : 0, b = above[i], c = i >= back ? above[i - back] : 0;
                        int pa = Math.Abs(b - c), pb = Math.Abs(a - c), pc = Math.Abs(a + b - (2 * c));
                        filtered[i] = (byte)(line[i] - (n % 5) switch { 0 => 0, 1 => a, 2 => b, 3 => (a + b) / 2, _ => pa <= pb && pa <= pc ? a : pb <= pc ? b : c });
                    }
                    zlib.WriteByte((byte)(n % 5));
                    zlib.Write(filtered);
                    above = line;
                }
            }
        }
        byte[] header = [0, 0, 0, (byte)width, 0, 0, 0, (byte)height, (byte)depth, (byte)colour, 0, 0, (byte)(interlaced ? 1 : 0)];
        return [0x89, .. "PNG\r\n"u8, 0x1A, 0x0A, .. Chunk("IHDR"u8, header), .. Chunk("IDAT"u8, packed.ToArray()), .. Chunk("IEND"u8, [])];

        static byte[] Chunk(ReadOnlySpan<byte> type, byte[] data) => [0, 0, (byte)(data.Length >> 8), (byte)data.Length, .. type, .. data, 0, 0, 0, 0];
    }
}
