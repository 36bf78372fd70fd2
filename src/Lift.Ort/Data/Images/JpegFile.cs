using System.Buffers.Binary;

namespace Lift.Ort.Data.Images;

/// <summary>JPEG files (ITU-T T.81): baseline, extended and progressive Huffman coding with 8 bits, grey or colour.</summary>
internal sealed class JpegFile
{
    private readonly byte[] bytes;
    private readonly int[][] quantisers = new int[4][];
    private readonly JpegTable?[] dc = new JpegTable?[4], ac = new JpegTable?[4];
    private JpegPlane[] planes = [];
    private int width, height, restart, adobe = -1;
    private bool progressive, jfif;

    private JpegFile(byte[] bytes) => this.bytes = bytes;

    public static PixelImage Read(byte[] bytes)
    {
        var file = new JpegFile(bytes);
        file.Walk();
        if (file.planes.Length == 0) throw new ImageException("it has no picture");
        foreach (JpegPlane plane in file.planes) plane.Transform(file.quantisers[plane.Quantiser] ?? throw new ImageException("it lacks a quantisation table"));
        bool plain = file.adobe == 0 || (file.adobe < 0 && !file.jfif && file.planes is [{ Id: 'R' }, { Id: 'G' }, { Id: 'B' }]);
        return JpegColour.Compose(file.planes, file.width, file.height, plain);
    }

    private int Short(int at) => BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(at));

    private void Walk()
    {
        for (int at = 2; at + 4 <= bytes.Length;)
        {
            if (bytes[at] != 0xFF) throw new ImageException($"byte {at} should begin a marker");
            int marker = bytes[at + 1];
            if (marker == 0xFF) { at++; continue; } // fill bytes
            if (marker == 0xD9) return;
            int length = Short(at + 2);
            var segment = bytes.AsSpan(at + 4, length - 2);
            at += 2 + length;
            switch (marker)
            {
                case 0xC0 or 0xC1 or 0xC2: Frame(segment, marker == 0xC2); break;
                case 0xC3 or (>= 0xC5 and <= 0xC7) or (>= 0xC9 and <= 0xCB) or (>= 0xCD and <= 0xCF): throw new ImageException("its coding (lossless, hierarchical or arithmetic) is not read");
                case 0xC4: Tables(segment); break;
                case 0xDB: Quantisers(segment); break;
                case 0xDD: restart = BinaryPrimitives.ReadUInt16BigEndian(segment); break;
                case 0xE0: jfif |= segment.StartsWith("JFIF"u8); break;
                case 0xEE when segment.Length >= 12 && segment.StartsWith("Adobe"u8): adobe = segment[11]; break;
                case 0xDA: at = Scan(segment, at); break;
            }
        }
        if (planes.Length == 0) throw new ImageException("it ends before its picture begins");
    }

    private void Frame(ReadOnlySpan<byte> s, bool isProgressive)
    {
        (progressive, height, width) = (isProgressive, BinaryPrimitives.ReadUInt16BigEndian(s[1..]), BinaryPrimitives.ReadUInt16BigEndian(s[3..]));
        if (s[0] != 8) throw new ImageException($"it has {s[0]} bits per sample");
        if (planes.Length > 0) throw new ImageException("it holds several pictures");
        if (s[5] is not (1 or 3)) throw new ImageException(s[5] == 4 ? "its colours are for printing (CMYK); save it as RGB" : $"it has {s[5]} channels");
        ImageFile.CheckSize(width, height);
        var made = new JpegPlane[s[5]];
        int mostH = 1, mostV = 1;
        for (int i = 0; i < made.Length; i++) (mostH, mostV) = (Math.Max(mostH, s[7 + (3 * i)] >> 4), Math.Max(mostV, s[7 + (3 * i)] & 15));
        for (int i = 0; i < made.Length; i++)
        {
            int h = s[7 + (3 * i)] >> 4, v = s[7 + (3 * i)] & 15;
            if (h is < 1 or > 4 || v is < 1 or > 4 || s[8 + (3 * i)] > 3) throw new ImageException("its sampling factors are out of range");
            made[i] = new JpegPlane(s[6 + (3 * i)], h, v, mostH, mostV, s[8 + (3 * i)], width, height);
        }
        planes = made;
    }

    private void Quantisers(ReadOnlySpan<byte> s)
    {
        while (s.Length > 0)
        {
            bool wide = s[0] >> 4 != 0;
            int[] table = quantisers[s[0] & 3] = new int[64];
            for (int i = 0; i < 64; i++) table[JpegPlane.Zigzag[i]] = wide ? BinaryPrimitives.ReadUInt16BigEndian(s[(1 + (2 * i))..]) : s[1 + i];
            s = s[(wide ? 129 : 65)..];
        }
    }

    private void Tables(ReadOnlySpan<byte> s)
    {
        while (s.Length > 0)
        {
            int symbols = 0;
            for (int i = 1; i <= 16; i++) symbols += s[i];
            (s[0] >> 4 == 0 ? dc : ac)[s[0] & 3] = new JpegTable(s.Slice(1, 16), s.Slice(17, symbols));
            s = s[(17 + symbols)..];
        }
    }

    private int Scan(ReadOnlySpan<byte> s, int at)
    {
        var parts = new (JpegPlane, JpegTable?, JpegTable?)[s[0]];
        for (int i = 0; i < parts.Length; i++)
        {
            int id = s[1 + (2 * i)], tables = s[2 + (2 * i)];
            JpegPlane plane = Array.Find(planes, p => p.Id == id) ?? throw new ImageException($"a scan names channel {id}, which the picture lacks");
            parts[i] = (plane, dc[(tables >> 4) & 3], ac[tables & 3]);
        }
        var rest = s[(1 + (2 * parts.Length))..];
        return new JpegScan(bytes, at, parts, progressive, rest[0], rest[1], rest[2] >> 4, rest[2] & 15, restart, width, height).Decode();
    }
}
