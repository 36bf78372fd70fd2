using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse.LinearAlgebra;

namespace Lift.Ort.Benchmarks;

/// <summary>Matrices that benchmarks and studies share, like those of the PyTorch baseline.</summary>
public static unsafe class Matrices
{
    /// <summary>Independent normal numbers, standard deviation <paramref name="deviation"/>.</summary>
    public static float[] Normal(int count, int seed, double deviation = 0.02)
    {
        var random = new Random(seed);
        var x = new float[count];
        for (int i = 0; i + 1 < count; i += 2)
        {
            double radius = deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())), angle = 2 * Math.PI * random.NextDouble();
            (x[i], x[i + 1]) = ((float)(radius * Math.Cos(angle)), (float)(radius * Math.Sin(angle)));
        }
        return x;
    }

    /// <summary>rows×columns, standard deviation 0.02, singular values about as 1 / (1 + i/32): a product of two normal matrices with the spectrum between.</summary>
    public static float[] PowerLaw(CpuDevice device, int rows, int columns, int seed)
    {
        int inner = Math.Min(rows, columns);
        float[] a = Normal(rows * inner, seed, 1), b = Normal(inner * columns, seed + 1, 1), c = new float[rows * columns];
        for (int i = 0; i < a.Length; i++) a[i] /= 1 + i % inner / 32f;
        using var products = new MatrixProducts(device);
        fixed (float* pa = a, pb = b, pc = c) products.Multiply(new Matrix((nint)pa, rows, inner), new Matrix((nint)pb, inner, columns), new Matrix((nint)pc, rows, columns));
        double scale = 0.02 / Math.Sqrt(c.Sum(x => (double)x * x) / c.Length);
        return Array.ConvertAll(c, x => (float)(x * scale));
    }

    public static Tensor Tensor(float[] values, int rows, int columns) => Onnx.Tensor.From<float>("w", values, rows, columns);
}
