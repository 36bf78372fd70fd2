namespace Lift.Ort.Data.Images;

/// <summary>A Huffman code: symbols by the bits that stand for them.</summary>
internal sealed class JpegTable
{
    private readonly int[] first = new int[17], index = new int[17], count = new int[17];
    private readonly byte[] symbols;

    public JpegTable(ReadOnlySpan<byte> lengths, ReadOnlySpan<byte> symbols)
    {
        this.symbols = symbols.ToArray();
        for (int length = 1, code = 0, at = 0; length <= 16; length++, code <<= 1)
        {
            (first[length], index[length], count[length]) = (code, at, lengths[length - 1]);
            code += count[length];
            at += count[length];
        }
    }

    public int Next(JpegScan bits)
    {
        for (int length = 1, code = 0; length <= 16; length++)
        {
            code = (code << 1) | bits.Bit();
            if (code - first[length] < count[length]) return symbols[index[length] + code - first[length]];
        }
        throw new ImageException("its data hold a code that no table has");
    }
}

/// <summary>One scan: the coefficients of one channel or several, whole or, in progressive files, some bits of some of them.</summary>
internal sealed class JpegScan(
    byte[] bytes, int at, (JpegPlane Plane, JpegTable? Dc, JpegTable? Ac)[] parts, bool progressive, int from, int to, int high, int low, int restart, int width, int height)
{
    private int held, bitsHeld, endOfBands;

    /// <returns>Where the next marker begins.</returns>
    public int Decode()
    {
        if (to > 63 || from > to || high > 13 || low > 13) throw new ImageException("a scan's bands are out of range");
        int units = 0;
        if (parts is [var only])
        {
            JpegPlane p = only.Plane;
            for (int y = 0; y < p.BlocksDown; y++)
            {
                for (int x = 0; x < p.BlocksAcross; x++, units++)
                {
                    Restart(units);
                    Block(only, p.Block(x, y));
                }
            }
        }
        else
        {
            int mostH = parts[0].Plane.MostH, mostV = parts[0].Plane.MostV;
            int across = (width + (8 * mostH) - 1) / (8 * mostH), down = (height + (8 * mostV) - 1) / (8 * mostV);
            for (int unit = 0; unit < across * down; unit++, units++)
            {
                Restart(units);
                foreach (var part in parts)
                {
                    for (int v = 0; v < part.Plane.V; v++)
                    {
                        for (int h = 0; h < part.Plane.H; h++) Block(part, part.Plane.Block((unit % across * part.Plane.H) + h, (unit / across * part.Plane.V) + v));
                    }
                }
            }
        }
        while (at + 1 < bytes.Length && (bytes[at] != 0xFF || bytes[at + 1] is 0 or (>= 0xD0 and <= 0xD7))) at++;
        return at;
    }

    public int Bit()
    {
        if (bitsHeld == 0)
        {
            if (at >= bytes.Length) throw new ImageException("it ends in the middle of its picture");
            held = bytes[at++];
            if (held == 0xFF && at < bytes.Length && bytes[at++] != 0) throw new ImageException("a marker stands in the middle of its picture");
            bitsHeld = 8;
        }
        return (held >> --bitsHeld) & 1;
    }

    private int Bits(int count)
    {
        int value = 0;
        for (int i = 0; i < count; i++) value = (value << 1) | Bit();
        return value;
    }

    /// <summary>A number of <paramref name="size"/> bits whose first bit is 0 where it is negative.</summary>
    private int Signed(int size)
    {
        if (size > 16) throw new ImageException("a coefficient is too large");
        int value = Bits(size);
        return size > 0 && value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
    }

    private void Restart(int units)
    {
        if (restart == 0 || units == 0 || units % restart != 0) return;
        (bitsHeld, endOfBands) = (0, 0);
        while (at + 1 < bytes.Length && !(bytes[at] == 0xFF && bytes[at + 1] is >= 0xD0 and <= 0xD7)) at++;
        at += 2;
        foreach (var part in parts) part.Plane.Predicted = 0;
    }

    private void Block((JpegPlane Plane, JpegTable? Dc, JpegTable? Ac) part, Span<short> block)
    {
        if (!progressive) Whole(part, block);
        else if (from == 0 && high == 0) block[0] = (short)(Difference(part) << low);
        else if (from == 0) block[0] |= (short)(Bit() << low);
        else if (high == 0) FirstBits(part.Ac, block);
        else MoreBits(part.Ac, block);
    }

    private int Difference((JpegPlane Plane, JpegTable? Dc, JpegTable? Ac) part) => part.Plane.Predicted += Signed(Table(part.Dc).Next(this));

    private void Whole((JpegPlane Plane, JpegTable? Dc, JpegTable? Ac) part, Span<short> block)
    {
        block[0] = (short)Difference(part);
        for (int k = 1; k < 64; k++)
        {
            int code = Table(part.Ac).Next(this), size = code & 15;
            if (size == 0 && code >> 4 < 15) return;
            k += code >> 4;
            if (size > 0) block[JpegPlane.Zigzag[k]] = (short)Signed(size);
        }
    }

    private void FirstBits(JpegTable? table, Span<short> block)
    {
        if (endOfBands > 0) { endOfBands--; return; }
        for (int k = from; k <= to; k++)
        {
            int code = Table(table).Next(this), run = code >> 4, size = code & 15;
            if (size == 0 && run < 15)
            {
                endOfBands = (1 << run) + Bits(run) - 1;
                return;
            }
            k += run;
            if (size > 0) block[JpegPlane.Zigzag[k]] = (short)(Signed(size) << low);
        }
    }

    private void MoreBits(JpegTable? table, Span<short> block)
    {
        int k = from;
        if (endOfBands == 0)
        {
            while (k <= to)
            {
                int code = Table(table).Next(this), run = code >> 4, value = 0;
                if ((code & 15) == 0 && run < 15)
                {
                    endOfBands = (1 << run) + Bits(run);
                    break;
                }
                if ((code & 15) != 0) value = Bit() != 0 ? 1 << low : -1 << low;
                for (; k <= to; k++)
                {
                    ref short c = ref block[JpegPlane.Zigzag[k]];
                    if (c != 0) Refine(ref c);
                    else if (run-- == 0)
                    {
                        c = (short)value;
                        k++;
                        break;
                    }
                }
            }
        }
        if (endOfBands == 0) return;
        for (; k <= to; k++)
        {
            ref short c = ref block[JpegPlane.Zigzag[k]];
            if (c != 0) Refine(ref c);
        }
        endOfBands--;
    }

    private void Refine(ref short c)
    {
        if (Bit() != 0 && (Math.Abs((int)c) & (1 << low)) == 0) c += (short)(c > 0 ? 1 << low : -1 << low);
    }

    private static JpegTable Table(JpegTable? table) => table ?? throw new ImageException("it lacks a Huffman table");
}
