using System.Runtime.Intrinsics;
using Lift.Ort.Devices.Cpu;

namespace Lift.Ort.Sparse;

public readonly unsafe partial record struct AddScaled
{
    public void Run(CpuDevice device)
    {
        float* sum = (float*)Sum.Pointer, value = (float*)Value.Pointer;
        (float scale, bool overwrite) = (Scale, Overwrite);
        Blocks.Run(device, Sum.Length, (_, from, to) =>
        {
            long i = from;
            for (; i + 8 <= to; i += 8)
            {
                Vector256<float> add = Vector256.Load(value + i) * scale;
                (overwrite ? add : Vector256.Load(sum + i) + add).Store(sum + i);
            }
            for (; i < to; i++) sum[i] = overwrite ? value[i] * scale : sum[i] + value[i] * scale;
        });
    }
}

public readonly unsafe partial record struct SquaredNorm
{
    public void Run(CpuDevice device)
    {
        float* value = (float*)Value.Pointer;
        var parts = new double[Blocks.Count(Value.Length)];
        Blocks.Run(device, Value.Length, (block, from, to) =>
        {
            Vector256<double> low = default, high = default;
            long i = from;
            for (; i + 8 <= to; i += 8)
            {
                var (a, b) = Vector256.Widen(Vector256.Load(value + i));
                low += a * a;
                high += b * b;
            }
            double sum = Vector256.Sum(low + high);
            for (; i < to; i++) sum += (double)value[i] * value[i];
            parts[block] = sum;
        });
        Result[0] = parts.Sum();
    }
}

/// <summary>Cuts a long vector into blocks of fixed size, so that results do not depend on the number of threads.</summary>
internal static class Blocks
{
    private const long Size = 1 << 18;

    public static int Count(long length) => (int)((length + Size - 1) / Size);

    public static void Run(CpuDevice device, long length, Action<int, long, long> body)
    {
        void One(int block) => body(block, block * Size, Math.Min(length, (block + 1) * Size));
        int count = Count(length);
        if (count > 1 && device.Threads > 1) Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = device.Threads }, One);
        else for (int block = 0; block < count; block++) One(block);
    }
}
