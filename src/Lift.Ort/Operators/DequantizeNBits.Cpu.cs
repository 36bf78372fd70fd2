using System.Numerics;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class DequantizeNBits
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor packed = context.Input(0), scale = context.Input(1), zero = context.Input(2);
        var (rows, blocks, bytes) = Fit(packed);
        int perByte = (int)(8 / bits);
        long size = bytes * perByte;
        var (scales, zeros) = (Strides(scale, rows, blocks, size), Strides(zero, rows, blocks, size));
        byte* p = packed.Data<byte>();
        T* s = scale.Data<T>(), z = zero.Data<T>(), y = context.Output<T>(0, rows, blocks * size);
        context.ForEachPart(rows * blocks, size, (from, to) =>
        {
            for (long i = from; i < to; i++)
            {
                long row = i / blocks, block = i % blocks;
                T* si = s + (row * scales.Row) + (block * scales.Block), zi = z + (row * zeros.Row) + (block * zeros.Block);
                if (scales.Entry == 0 && zeros.Entry == 0) Block(p + (i * bytes), bytes, *si, *zi, y + (i * size));
                else for (long e = 0; e < size; e++) y[(i * size) + e] = (T.CreateTruncating(Number(p + (i * bytes), e, perByte)) - zi[e * zeros.Entry]) * si[e * scales.Entry];
            }
        });
    }

    private (long Rows, long Blocks, long Bytes) Fit(CpuTensor packed)
    {
        if (bits is not (2 or 4 or 8)) throw new ArgumentException($"{bits} bits; there are 2, 4 or 8");
        return packed.Dims is [var rows, var blocks, var bytes] ? (rows, blocks, bytes) : throw new ArgumentException($"packed values [{string.Join(", ", packed.Dims)}] have not three axes");
    }

    /// <summary>One block with one scale and one zero point: there are few different numbers, so they are made once.</summary>
    private void Block<T>(byte* packed, long bytes, T scale, T zero, T* y) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (bits == 8)
        {
            for (long i = 0; i < bytes; i++) y[i] = (T.CreateTruncating(packed[i]) - zero) * scale;
            return;
        }
        int count = 1 << (int)bits, mask = count - 1;
        T* numbers = stackalloc T[count];
        for (int q = 0; q < count; q++) numbers[q] = (T.CreateTruncating(q) - zero) * scale;
        for (long i = 0; i < bytes; i++)
        {
            for (int b = packed[i], n = 8 / (int)bits; n > 0; n--, b >>= (int)bits) *y++ = numbers[b & mask];
        }
    }

    private int Number(byte* packed, long entry, int perByte) => (packed[entry / perByte] >> (int)(entry % perByte * bits)) & ((1 << (int)bits) - 1);

    /// <summary>How far apart a parameter's numbers lie for the next row, block and entry; 0 where one number serves all.</summary>
    private static (long Row, long Block, long Entry) Strides(CpuTensor parameter, long rows, long blocks, long size)
    {
        long[] dims = [.. Enumerable.Repeat(1L, Math.Max(0, 3 - parameter.Dims.Length)), .. parameter.Dims];
        bool fits = dims.Length == 3 && (dims[0] == 1 || dims[0] == rows) && (dims[1] == 1 || dims[1] == blocks) && (dims[2] == 1 || dims[2] == size);
        if (!fits) throw new ArgumentException($"a parameter of [{string.Join(", ", parameter.Dims)}] does not broadcast to [{rows}, {blocks}, {size}]");
        return (dims[0] == 1 ? 0 : dims[1] * dims[2], dims[1] == 1 ? 0 : dims[2], dims[2] == 1 ? 0 : 1);
    }
}
