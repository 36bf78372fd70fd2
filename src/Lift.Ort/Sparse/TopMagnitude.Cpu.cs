using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Lift.Ort.Devices.Cpu;

namespace Lift.Ort.Sparse;

public readonly unsafe partial record struct TopMagnitude
{
    private const int BlockSize = 1 << 17; // scores that one thread takes at a time
    private const int Bins = 4096;         // of the first 12 bits

    public void Run(CpuDevice device)
    {
        int k = checked((int)Positions.Length);
        if (k < 1 || k > Count) throw new ArgumentOutOfRangeException(nameof(Positions), $"{k} of {Count}");
        int* positions = (int*)Positions.Pointer;
        switch (Order)
        {
            case TopOrder.LargestMagnitude: Select<Magnitude>(device, (uint*)Scores, Count, positions, k); break;
            case TopOrder.SmallestMagnitude: Select<Smallness>(device, (uint*)Scores, Count, positions, k); break;
            default: Select<Value>(device, (uint*)Scores, Count, positions, k); break;
        }
    }

    private static void Select<TKey>(CpuDevice device, uint* x, int count, int* positions, int k) where TKey : struct, IKey
    {
        int blocks = (count + BlockSize - 1) / BlockSize;
        uint threshold = Threshold<TKey>(device, x, count, k, blocks);

        // Per block: how many lie above the threshold, how many on it; their running sums say where each block writes.
        int[] above = new int[blocks], on = new int[blocks];
        ForBlocks(device, count, blocks, (b, from, to) => (above[b], on[b]) = CountBlock<TKey>(x, from, to, threshold));
        int ties = k - above.Sum(), at = 0;
        int[] start = new int[blocks], taken = new int[blocks];
        for (int b = 0; b < blocks; b++)
        {
            (start[b], taken[b]) = (at, Math.Min(ties, on[b]));
            ties -= taken[b];
            at += above[b] + taken[b];
        }
        ForBlocks(device, count, blocks, (b, from, to) => Emit<TKey>(x, from, to, threshold, taken[b], positions + start[b], above[b] + taken[b]));
    }

    /// <summary>The key of rank k, descending.</summary>
    private static uint Threshold<TKey>(CpuDevice device, uint* x, int count, int k, int blocks) where TKey : struct, IKey
    {
        var total = new int[Bins];
        ForBlocks(device, count, blocks, (_, from, to) =>
        {
            // Four tables in turn: neighbouring scores often fall into one bin, and a store must not wait for the one before it.
            int* table = stackalloc int[4 * Bins];
            new Span<int>(table, 4 * Bins).Clear();
            int i = from;
            for (; i + 4 <= to; i += 4)
            {
                table[TKey.Of(x[i]) >> 20]++;
                table[Bins + (TKey.Of(x[i + 1]) >> 20)]++;
                table[2 * Bins + (TKey.Of(x[i + 2]) >> 20)]++;
                table[3 * Bins + (TKey.Of(x[i + 3]) >> 20)]++;
            }
            for (; i < to; i++) table[TKey.Of(x[i]) >> 20]++;
            lock (total)
            {
                for (int b = 0; b < Bins; b++) total[b] += table[b] + table[Bins + b] + table[2 * Bins + b] + table[3 * Bins + b];
            }
        });
        uint first = Bin(total, ref k);

        // Only the scores of that bin go on: their keys are collected, block after block.
        uint[] keys = new uint[total[first]];
        int[] sizes = new int[blocks];
        ForBlocks(device, count, blocks, (b, from, to) => sizes[b] = CountBin<TKey>(x, from, to, first));
        for (int b = 0, sum = 0; b < blocks; b++) (sizes[b], sum) = (sum, sum + sizes[b]);
        ForBlocks(device, count, blocks, (b, from, to) => Collect<TKey>(x, from, to, first, keys.AsSpan(sizes[b])));

        uint second = Bin(Histogram(keys, key => (key >> 10) & 1023), ref k);
        uint[] last = Array.FindAll(keys, key => ((key >> 10) & 1023) == second);
        uint third = Bin(Histogram(last, key => key & 1023), ref k);
        return (first << 20) | (second << 10) | third;
    }

    private static int[] Histogram(uint[] keys, Func<uint, uint> bin)
    {
        var result = new int[1024];
        foreach (uint key in keys) result[bin(key)]++;
        return result;
    }

    /// <summary>The bin in which the k-th largest lies; k becomes its rank within the bin.</summary>
    private static uint Bin(int[] histogram, ref int k)
    {
        int bin = histogram.Length - 1;
        for (; histogram[bin] < k; bin--) k -= histogram[bin];
        return (uint)bin;
    }

    private static int CountBin<TKey>(uint* x, int from, int to, uint bin) where TKey : struct, IKey
    {
        int count = 0, i = from;
        Vector256<uint> wanted = Vector256.Create(bin);
        for (; i + 8 <= to; i += 8) count += BitOperations.PopCount(Vector256.Equals(TKey.Of(Vector256.Load(x + i)) >>> 20, wanted).ExtractMostSignificantBits());
        for (; i < to; i++) count += TKey.Of(x[i]) >> 20 == bin ? 1 : 0;
        return count;
    }

    private static void Collect<TKey>(uint* x, int from, int to, uint bin, Span<uint> keys) where TKey : struct, IKey
    {
        int at = 0, i = from;
        Vector256<uint> wanted = Vector256.Create(bin);
        for (; i + 8 <= to; i += 8)
        {
            Vector256<uint> key = TKey.Of(Vector256.Load(x + i));
            for (uint hits = Vector256.Equals(key >>> 20, wanted).ExtractMostSignificantBits(); hits != 0; hits &= hits - 1)
            {
                keys[at++] = TKey.Of(x[i + BitOperations.TrailingZeroCount(hits)]);
            }
        }
        for (; i < to; i++)
        {
            if (TKey.Of(x[i]) >> 20 == bin) keys[at++] = TKey.Of(x[i]);
        }
    }

    private static (int Above, int On) CountBlock<TKey>(uint* x, int from, int to, uint threshold) where TKey : struct, IKey
    {
        int above = 0, on = 0, i = from;
        Vector256<uint> wanted = Vector256.Create(threshold);
        for (; i + 8 <= to; i += 8)
        {
            Vector256<uint> key = TKey.Of(Vector256.Load(x + i));
            above += BitOperations.PopCount(Vector256.GreaterThan(key, wanted).ExtractMostSignificantBits());
            on += BitOperations.PopCount(Vector256.Equals(key, wanted).ExtractMostSignificantBits());
        }
        for (; i < to; i++)
        {
            uint key = TKey.Of(x[i]);
            above += key > threshold ? 1 : 0;
            on += key == threshold ? 1 : 0;
        }
        return (above, on);
    }

    /// <summary>Writes the block's positions: all above the threshold and the first <paramref name="ties"/> on it; <paramref name="size"/> in all.</summary>
    private static void Emit<TKey>(uint* x, int from, int to, uint threshold, int ties, int* positions, int size) where TKey : struct, IKey
    {
        int at = 0, i = from;
        if (Avx512F.IsSupported)
        {
            Vector512<uint> lanes = Vector512<uint>.Indices, wanted = Vector512.Create(threshold);
            for (; ties == 0 && i + 16 <= to && at < size; i += 16)
            {
                Vector512<uint> hits = Vector512.GreaterThan(TKey.Of(Vector512.Load(x + i)), wanted);
                Avx512F.CompressStore((uint*)positions + at, hits, lanes + Vector512.Create((uint)i));
                at += BitOperations.PopCount(hits.ExtractMostSignificantBits());
            }
        }
        for (; i < to && at < size; i++)
        {
            uint key = TKey.Of(x[i]);
            if (key > threshold || (key == threshold && ties-- > 0)) positions[at++] = i;
        }
    }

    private static void ForBlocks(CpuDevice device, int count, int blocks, Action<int, int, int> body)
    {
        void One(int b) => body(b, b * BlockSize, (int)Math.Min(count, (b + 1L) * BlockSize));
        if (blocks > 1 && device.Threads > 1) Parallel.For(0, blocks, new ParallelOptions { MaxDegreeOfParallelism = device.Threads }, One);
        else for (int b = 0; b < blocks; b++) One(b);
    }

    /// <summary>Turns a float's bits into an unsigned number that is larger the better the score.</summary>
    private interface IKey
    {
        static abstract uint Of(uint bits);

        static abstract Vector256<uint> Of(Vector256<uint> bits);

        static abstract Vector512<uint> Of(Vector512<uint> bits);
    }

    private readonly struct Magnitude : IKey
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Of(uint bits) => bits << 1;

        public static Vector256<uint> Of(Vector256<uint> bits) => bits << 1;

        public static Vector512<uint> Of(Vector512<uint> bits) => bits << 1;
    }

    private readonly struct Smallness : IKey
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Of(uint bits) => ~(bits << 1);

        public static Vector256<uint> Of(Vector256<uint> bits) => ~(bits << 1);

        public static Vector512<uint> Of(Vector512<uint> bits) => ~(bits << 1);
    }

    private readonly struct Value : IKey
    {
        // Negative numbers: all bits flipped; others: the sign bit set. Minus zero comes just below zero.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Of(uint bits) => bits ^ ((uint)((int)bits >> 31) | 0x80000000);

        public static Vector256<uint> Of(Vector256<uint> bits) => bits ^ ((bits.AsInt32() >> 31).AsUInt32() | Vector256.Create(0x80000000));

        public static Vector512<uint> Of(Vector512<uint> bits) => bits ^ ((bits.AsInt32() >> 31).AsUInt32() | Vector512.Create(0x80000000));
    }
}
