using System.Buffers.Binary;
using System.IO.Compression;

namespace Lift.Ort.Data.Images;

/// <summary>PNG files (ISO/IEC 15948) of every colour type, depth and interlacing. Transparency is left out; of 16 bits the upper 8 are taken.</summary>
internal static class PngFile
{
    private static readonly (int X, int Y, int StepX, int StepY)[] whole = [(0, 0, 1, 1)], adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

    public static PixelImage Read(byte[] bytes, bool indices)
    {
        Header? header = null;
        byte[] palette = [];
        using var packed = new MemoryStream();
        for (int at = 8; at + 12 <= bytes.Length;)
        {
            long length = BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(at));
            if (length > bytes.Length - at - 12) throw new ImageException("it ends in the middle of a chunk");
            var data = bytes.AsSpan(at + 8, (int)length);
            string type = System.Text.Encoding.ASCII.GetString(bytes, at + 4, 4);
            if (type == "IHDR") header = Header.Read(data);
            else if (type == "PLTE") palette = data.ToArray();
            else if (type == "IDAT") packed.Write(data);
            else if (type == "IEND") break;
            at += (int)length + 12;
        }
        if (header is null) throw new ImageException("it has no header");
        packed.Position = 0;
        using var lines = new ZLibStream(packed, CompressionMode.Decompress);
        return Decode(header, palette, lines, indices);
    }

    private static PixelImage Decode(Header h, byte[] palette, Stream lines, bool indices)
    {
        int channels = h.Colour is 0 or 4 || (h.Colour == 3 && indices) ? 1 : 3;
        byte[] pixels = new byte[checked(h.Width * h.Height * channels)];
        foreach (var pass in h.Interlaced ? adam7 : whole)
        {
            int width = (h.Width - pass.X + pass.StepX - 1) / pass.StepX, height = (h.Height - pass.Y + pass.StepY - 1) / pass.StepY;
            if (width <= 0 || height <= 0) continue;
            int stride = ((width * h.Samples * h.Depth) + 7) / 8, back = Math.Max(1, h.Samples * h.Depth / 8);
            byte[] line = new byte[stride], above = new byte[stride];
            for (int y = 0; y < height; y++)
            {
                int filter = lines.ReadByte();
                lines.ReadExactly(line);
                Unfilter(filter, line, above, back);
                for (int x = 0; x < width; x++) Put(h, palette, line, x, pixels.AsSpan(((((pass.Y + (y * pass.StepY)) * h.Width) + pass.X + (x * pass.StepX)) * channels), channels));
                (line, above) = (above, line);
            }
        }
        return new(h.Width, h.Height, channels, pixels);
    }

    private static void Put(Header h, byte[] palette, byte[] line, int x, Span<byte> pixel)
    {
        if (h.Colour == 3)
        {
            int index = Sample(h, line, x, scaled: false);
            if (pixel.Length == 1) pixel[0] = (byte)index;
            else palette.AsSpan(3 * index, 3).CopyTo(pixel);
            return;
        }
        for (int c = 0; c < pixel.Length; c++) pixel[c] = (byte)Sample(h, line, (x * h.Samples) + c, scaled: true);
    }

    private static int Sample(Header h, byte[] line, int i, bool scaled)
    {
        if (h.Depth >= 8) return line[i * (h.Depth / 8)];
        int value = (line[i * h.Depth / 8] >> (8 - h.Depth - (i * h.Depth % 8))) & ((1 << h.Depth) - 1);
        return scaled ? value * 255 / ((1 << h.Depth) - 1) : value;
    }

    private static void Unfilter(int filter, byte[] line, byte[] above, int back)
    {
        for (int i = 0; i < line.Length; i++)
        {
            int a = i >= back ? line[i - back] : 0, b = above[i], c = i >= back ? above[i - back] : 0;
            line[i] += (byte)(filter switch
            {
                0 => 0,
                1 => a,
                2 => b,
                3 => (a + b) / 2,
                4 => Paeth(a, b, c),
                _ => throw new ImageException($"it has a line of filter {filter}"),
            });
        }
    }

    private static int Paeth(int a, int b, int c)
    {
        int p = a + b - c, pa = Math.Abs(p - a), pb = Math.Abs(p - b), pc = Math.Abs(p - c);
        return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    }

    private sealed record Header(int Width, int Height, int Depth, int Colour, bool Interlaced)
    {
        public int Samples => Colour switch { 0 or 3 => 1, 4 => 2, 2 => 3, _ => 4 };

        public static Header Read(ReadOnlySpan<byte> data)
        {
            long width = BinaryPrimitives.ReadUInt32BigEndian(data), height = BinaryPrimitives.ReadUInt32BigEndian(data[4..]);
            ImageFile.CheckSize(width, height);
            if (data[9] is not (0 or 2 or 3 or 4 or 6) || data[8] is not (1 or 2 or 4 or 8 or 16)) throw new ImageException($"it has colour type {data[9]} with {data[8]} bits");
            return new((int)width, (int)height, data[8], data[9], data[12] == 1);
        }
    }
}
