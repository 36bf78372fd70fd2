using System.Buffers.Binary;

namespace Lift.Ort.Data.Images;

/// <summary>Windows bitmaps without compression: 1, 4 and 8 bits with a palette, 24 and 32 bits.</summary>
internal static class BmpFile
{
    public static PixelImage Read(byte[] bytes, bool indices)
    {
        int start = Int(10), header = Int(14), width = Int(18), tall = Int(22), bits = Short(28), compression = header >= 40 ? Int(30) : 0;
        if (header < 40) throw new ImageException($"its header of {header} bytes is of a kind that is no longer used");
        if (compression is not (0 or 3) || (compression == 3 && bits != 32)) throw new ImageException("it is compressed; save it without compression, or as PNG");
        if (bits is not (1 or 4 or 8 or 24 or 32)) throw new ImageException($"it has {bits} bits per pixel");
        int height = Math.Abs(tall), stride = checked(((width * bits) + 31) / 32 * 4);
        ImageFile.CheckSize(width, height);

        int palette = 14 + header + (compression == 3 && header == 40 ? 12 : 0);
        int channels = bits <= 8 && indices ? 1 : 3;
        byte[] pixels = new byte[checked(width * height * channels)];
        for (int y = 0; y < height; y++)
        {
            var line = bytes.AsSpan(start + ((tall > 0 ? height - 1 - y : y) * stride), stride);
            for (int x = 0; x < width; x++)
            {
                int at = ((y * width) + x) * channels;
                if (bits > 8)
                {
                    var p = line.Slice(x * bits / 8, 3);
                    (pixels[at], pixels[at + 1], pixels[at + 2]) = (p[2], p[1], p[0]);
                    continue;
                }
                int index = (line[x * bits / 8] >> (8 - bits - (x * bits % 8))) & ((1 << bits) - 1);
                if (indices) pixels[at] = (byte)index;
                else (pixels[at], pixels[at + 1], pixels[at + 2]) = (bytes[palette + (4 * index) + 2], bytes[palette + (4 * index) + 1], bytes[palette + (4 * index)]);
            }
        }
        return new(width, height, channels, pixels);

        int Int(int at) => BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at));
        int Short(int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(at));
    }
}
