using System.Numerics;
using System.Runtime.InteropServices;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class LayerNormalizationGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0), x = context.Input(1), scale = context.Input(2);
        Slices s = Slices.From(x.Dims, axis);
        if (scale.Count != s.Length) throw new ArgumentException($"scale has {scale.Count} elements, a row {s.Length}");
        T* g = dy.Data<T>(), px = x.Data<T>(), gamma = scale.Data<T>();
        T* third = form == NormalizationForm.Simplified ? null : context.Input(3).Data<T>();
        T* invStd = context.Input(form == NormalizationForm.Simplified ? 3 : 4).Data<T>();
        T* dx = context.Output<T>(0, x.Dims), dGamma = context.Output<T>(1, scale.Dims);
        T* dBeta = form == NormalizationForm.Simplified ? null : context.Output<T>(2, scale.Dims);

        long n = s.Length;
        int parts = CpuContext.Parts(s.Outer, 3 * n);
        T* sums = (T*)NativeMemory.AllocZeroed((nuint)(parts * 2 * n), (nuint)sizeof(T)); // dscale and dbias of each part
        T* normed = (T*)NativeMemory.Alloc((nuint)(parts * n), (nuint)sizeof(T)); // one row of x̂ for each part
        try
        {
            context.ForEachPart(parts, s.Outer, (part, from, to) =>
            {
                T* dGammaPart = sums + part * 2 * n, dBetaPart = dGammaPart + n, xHat = normed + part * n;
                for (long row = from; row < to; row++)
                {
                    Normalize(px + row * n, gamma, third, row, invStd[row], xHat, n);
                    Row(g + row * n, xHat, gamma, invStd[row], dx + row * n, dGammaPart, dBetaPart, n);
                }
            });
            if (dGamma != null) Collect(sums, parts, dGamma, n);
            if (dBeta != null) Collect(sums + n, parts, dBeta, n);
        }
        finally
        {
            NativeMemory.Free(sums);
            NativeMemory.Free(normed);
        }
    }

    private void Normalize<T>(T* x, T* gamma, T* third, long row, T invStd, T* xHat, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (form == NormalizationForm.Invertible)
        {
            for (long i = 0; i < n; i++) xHat[i] = (x[i] - third[i]) / gamma[i];
            return;
        }
        T mean = form == NormalizationForm.Full ? third[row] : T.Zero;
        Vector<T> m = new(mean), inv = new(invStd);
        long k = 0;
        for (; k <= n - Vector<T>.Count; k += Vector<T>.Count) ((Vector.Load(x + k) - m) * inv).Store(xHat + k);
        for (; k < n; k++) xHat[k] = (x[k] - mean) * invStd;
    }

    /// <summary>One row; <paramref name="dx"/> may be <paramref name="dy"/>.</summary>
    private void Row<T>(T* dy, T* xHat, T* gamma, T invStd, T* dx, T* dGamma, T* dBeta, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> sumG = default, sumGx = default;
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count)
        {
            Vector<T> d = Vector.Load(dy + i), h = Vector.Load(xHat + i), g = d * Vector.Load(gamma + i);
            sumG += g;
            sumGx += g * h;
            (Vector.Load(dGamma + i) + d * h).Store(dGamma + i);
            (Vector.Load(dBeta + i) + d).Store(dBeta + i);
        }
        T meanG = Vector.Sum(sumG), meanGx = Vector.Sum(sumGx);
        for (; i < n; i++)
        {
            meanG += dy[i] * gamma[i];
            meanGx += dy[i] * gamma[i] * xHat[i];
            dGamma[i] += dy[i] * xHat[i];
            dBeta[i] += dy[i];
        }
        T count = T.CreateChecked(n);
        meanG = form == NormalizationForm.Simplified ? T.Zero : meanG / count;
        meanGx /= count;
        Vector<T> mg = new(meanG), mgx = new(meanGx), inv = new(invStd);
        for (i = 0; i <= n - Vector<T>.Count; i += Vector<T>.Count)
            (inv * (Vector.Load(dy + i) * Vector.Load(gamma + i) - mg - Vector.Load(xHat + i) * mgx)).Store(dx + i);
        for (; i < n; i++) dx[i] = invStd * (dy[i] * gamma[i] - meanG - xHat[i] * meanGx);
    }

    private static void Collect<T>(T* sums, int parts, T* result, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Simd.Copy(sums, result, n);
        for (int part = 1; part < parts; part++) Simd.Add(sums + part * 2 * n, result, n);
    }
}
