namespace Lift.Ort.Sparse.LinearAlgebra;

/// <summary>How far the polynomial filter of subspace iteration goes; one rule for all devices.</summary>
internal static class ChebyshevFilter
{
    private const double DynamicRange = 1e7; // of float32: a higher filter would drown all but the top directions
    private const int MaxDegree = 10;

    /// <summary>
    /// The largest degree that float32's range allows, but no more than the bound needs to pass: each degree divides it by about the growth
    /// at θ_r, as it amplifies that direction and not those below a.
    /// </summary>
    /// <param name="theta">Ritz values of G, largest first, q of them.</param>
    /// <param name="rank">r, below q.</param>
    /// <param name="bound">The error bound reached so far, relative.</param>
    /// <param name="tolerance">The bound wanted.</param>
    /// <param name="settled">True for the first filter behind a warm start.</param>
    /// <param name="a">θ_q, the upper end of the interval that is damped.</param>
    public static int Degree(ReadOnlySpan<double> theta, int rank, double bound, double tolerance, bool settled, out double a)
    {
        a = Math.Max(theta[^1], 1e-7 * theta[0]);
        double last = Growth(theta[rank - 1] / a), growth = Growth(theta[0] / a) / last;
        double margin = settled ? 1.4 : 2; // otherwise a degree gains less: θ_q is not settled yet, or what is left lies close to it
        double needed = margin * Math.Log(2 * bound / tolerance) / Math.Log(last);
        int degree = 1;
        while (degree < MaxDegree && degree < needed && Math.Pow(growth, degree + 1) <= DynamicRange) degree++;
        return degree;
    }

    /// <summary>Growth per degree of the Chebyshev polynomial at x·a, with its damped interval at 0 … a.</summary>
    private static double Growth(double x)
    {
        double t = 2 * x - 1;
        return t + Math.Sqrt(Math.Max(0, t * t - 1));
    }
}
