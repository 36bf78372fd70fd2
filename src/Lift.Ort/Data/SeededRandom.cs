namespace Lift.Ort.Data;

/// <summary>SplitMix64 (Steele, Lea, Flood 2014): the same seed gives the same numbers on every machine and every .NET.</summary>
internal sealed class SeededRandom(ulong seed, ulong stream = 0)
{
    private const ulong Gamma = 0x9E3779B97F4A7C15;

    private ulong state = Mix(seed) ^ Mix(stream * Gamma + 1);

    public ulong Next() => Mix(state += Gamma);

    /// <summary>Uniform in 0 … <paramref name="bound"/> − 1, without bias (Lemire 2019).</summary>
    public int Next(int bound)
    {
        ulong low, n = (ulong)bound, high;
        do high = Math.BigMul(Next(), n, out low);
        while (low < n && low < (0 - n) % n);
        return (int)high;
    }

    /// <summary>Uniform in [0, 1).</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1ul << 53));

    /// <summary>Fisher and Yates.</summary>
    public void Shuffle<T>(Span<T> values)
    {
        for (int i = values.Length - 1; i > 0; i--)
        {
            int j = Next(i + 1);
            (values[i], values[j]) = (values[j], values[i]);
        }
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
