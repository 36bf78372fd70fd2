using System.Numerics;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data.Sounds;

/// <summary>
/// The logarithmic mel spectrum that Whisper reads: Hann window, power of the Fourier transform, triangular bands on Slaney's mel scale, log10, the range of
/// 8 below the largest value, (x + 4) / 4.
/// </summary>
internal static class MelSpectrum
{
    /// <returns>[bands, frames]</returns>
    public static Tensor Of(float[] samples, int rate, AudioOptions o)
    {
        int length = o.Seconds > 0 ? (int)(o.Seconds * rate) : samples.Length, frames = length / o.Hop, bins = (o.Window / 2) + 1;
        float[] sound = new float[length + o.Window]; // half a window of mirrored sound on both sides
        int half = o.Window / 2;
        for (int i = 0; i < sound.Length; i++)
        {
            int at = i - half < 0 ? half - i : i - half >= length ? (2 * (length - 1)) - (i - half) : i - half;
            sound[i] = at >= 0 && at < samples.Length ? samples[at] : 0;
        }
        var (cosine, sine) = Waves(o.Window, bins);
        float[,] bands = Bands(o.Bands, bins, rate, o.Window);
        Tensor result = Tensor.Empty("spectrum", ElementType.Float, [o.Bands, frames]);
        float[] power = new float[bins];
        float largest = float.NegativeInfinity;
        for (int t = 0; t < frames; t++)
        {
            var window = sound.AsSpan(t * o.Hop, o.Window);
            for (int f = 0; f < bins; f++)
            {
                float re = Dot(window, cosine.AsSpan(f * o.Window, o.Window));
                float im = Dot(window, sine.AsSpan(f * o.Window, o.Window));
                power[f] = (re * re) + (im * im);
            }
            for (int b = 0; b < o.Bands; b++)
            {
                float sum = 0;
                for (int f = 0; f < bins; f++) sum += bands[b, f] * power[f];
                float value = MathF.Log10(Math.Max(sum, 1e-10f));
                largest = Math.Max(largest, value);
                result.AsSpan<float>()[(b * frames) + t] = value;
            }
        }
        foreach (ref float value in result.AsSpan<float>()) value = (Math.Max(value, largest - 8) + 4) / 4;
        return result;
    }

    private static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var sums = Vector<float>.Zero;
        int i = 0;
        for (; i <= a.Length - Vector<float>.Count; i += Vector<float>.Count) sums += new Vector<float>(a[i..]) * new Vector<float>(b[i..]);
        float sum = Vector.Sum(sums);
        for (; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }

    /// <summary>Hann window times cosine and sine of each bin.</summary>
    private static (float[] Cosine, float[] Sine) Waves(int window, int bins)
    {
        float[] cosine = new float[bins * window], sine = new float[bins * window];
        for (int f = 0; f < bins; f++)
        {
            for (int i = 0; i < window; i++)
            {
                double hann = 0.5 - (0.5 * Math.Cos(2 * Math.PI * i / window)), angle = 2 * Math.PI * ((long)f * i % window) / window;
                (cosine[(f * window) + i], sine[(f * window) + i]) = ((float)(hann * Math.Cos(angle)), (float)(hann * Math.Sin(angle)));
            }
        }
        return (cosine, sine);
    }

    /// <summary>Triangles of equal area, evenly spaced in mel from 0 to half the rate.</summary>
    private static float[,] Bands(int count, int bins, int rate, int window)
    {
        double[] edges = [.. Enumerable.Range(0, count + 2).Select(i => Hertz(Mel(rate / 2.0) * i / (count + 1)))];
        var bands = new float[count, bins];
        for (int b = 0; b < count; b++)
        {
            double low = edges[b], middle = edges[b + 1], high = edges[b + 2];
            for (int f = 0; f < bins; f++)
            {
                double hertz = (double)f * rate / window;
                bands[b, f] = (float)(Math.Max(0, Math.Min((hertz - low) / (middle - low), (high - hertz) / (high - middle))) * 2 / (high - low));
            }
        }
        return bands;
    }

    private static double Mel(double hertz) => hertz < 1000 ? 3 * hertz / 200 : 15 + (Math.Log(hertz / 1000) * 27 / Math.Log(6.4));

    private static double Hertz(double mel) => mel < 15 ? 200 * mel / 3 : 1000 * Math.Exp((mel - 15) * Math.Log(6.4) / 27);
}
