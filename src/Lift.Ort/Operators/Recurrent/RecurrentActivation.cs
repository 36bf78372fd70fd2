using System.Numerics;

namespace Lift.Ort.Operators.Recurrent;

/// <summary>An activation function of a recurrent cell, by its name in ONNX, with its two parameters. Derivatives are found from the function's value.</summary>
internal readonly record struct RecurrentActivation(string Name, double Alpha, double Beta)
{
    private static readonly string[] kinds = ["sigmoid", "tanh", "relu", "affine", "leakyrelu", "thresholdedrelu", "scaledtanh", "hardsigmoid", "elu", "softsign", "softplus"];

    /// <summary>Reads "Sigmoid" or "HardSigmoid:0.2:0.5".</summary>
    /// <exception cref="ArgumentException">There is no such function.</exception>
    public static RecurrentActivation Parse(string text)
    {
        string[] parts = text.Split(':');
        double[] given = [.. parts[1..].Select(p => double.Parse(p, System.Globalization.CultureInfo.InvariantCulture))];
        var (alpha, beta) = Defaults(parts[0]);
        return new(parts[0].ToLowerInvariant(), given.Length > 0 ? given[0] : alpha, given.Length > 1 ? given[1] : beta);
    }

    /// <summary>The parameters that ONNX gives a function by default.</summary>
    public static (double Alpha, double Beta) Defaults(string name) => name.ToLowerInvariant() switch
    {
        "leakyrelu" => (0.01, 0),
        "thresholdedrelu" or "elu" => (1, 0),
        "affine" or "scaledtanh" => (1, name.Equals("affine", StringComparison.OrdinalIgnoreCase) ? 0 : 1),
        "hardsigmoid" => (0.2, 0.5),
        "relu" or "tanh" or "sigmoid" or "softsign" or "softplus" => (0, 0),
        _ => throw new ArgumentException($"there is no activation function '{name}' for recurrent layers"),
    };

    /// <summary>The function's number in Recurrent.cu.</summary>
    public int Kind => Array.IndexOf(kinds, Name);

    /// <summary>y = f(y)</summary>
    public unsafe void Apply<T>(T* y, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        bool sigmoid = Name == "sigmoid";
        long i = 0;
        if (sigmoid || Name == "tanh")
        {
            for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) (sigmoid ? Activation.Sigmoid(Vector.Load(y + i)) : Tanh(Vector.Load(y + i))).Store(y + i);
        }
        for (; i < n; i++) y[i] = T.CreateTruncating(Of(double.CreateTruncating(y[i])));
    }

    /// <summary>dy = dy · f′, found from the value y; 0 where y is f of a bound at which the argument was clipped.</summary>
    public unsafe void Slope<T>(T* y, T* dy, long n, double clip) where T : unmanaged, IFloatingPointIeee754<T>
    {
        long i = 0;
        if (clip <= 0 && Name is "sigmoid" or "tanh")
        {
            bool sigmoid = Name == "sigmoid";
            for (; i <= n - Vector<T>.Count; i += Vector<T>.Count)
            {
                Vector<T> v = Vector.Load(y + i);
                (Vector.Load(dy + i) * (sigmoid ? v * (Vector<T>.One - v) : Vector<T>.One - v * v)).Store(dy + i);
            }
        }
        double low = Of(-clip), high = Of(clip), rounding = (typeof(T) == typeof(double) ? 1e-13 : 4e-7) * Math.Max(1, Math.Max(Math.Abs(low), Math.Abs(high)));
        for (; i < n; i++)
        {
            double v = double.CreateTruncating(y[i]);
            bool clipped = clip > 0 && (Math.Abs(v - low) <= rounding || Math.Abs(v - high) <= rounding);
            dy[i] *= T.CreateTruncating(clipped ? 0 : SlopeAt(v));
        }
    }

    /// <summary>tanh x = (1 − e) / (1 + e) with e = exp(−2|x|), and x's sign</summary>
    private static Vector<T> Tanh<T>(Vector<T> x) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> e = Simd.Exp(Vector.Abs(x) * new Vector<T>(T.CreateTruncating(-2.0))), y = (Vector<T>.One - e) / (Vector<T>.One + e);
        return Vector.ConditionalSelect(Vector.LessThan(x, Vector<T>.Zero), -y, y);
    }

    /// <summary>f(x)</summary>
    public double Of(double x) => Name switch
    {
        "sigmoid" => 1 / (1 + Math.Exp(-x)),
        "tanh" => Math.Tanh(x),
        "relu" => Math.Max(0, x),
        "affine" => Alpha * x + Beta,
        "leakyrelu" => x >= 0 ? x : Alpha * x,
        "thresholdedrelu" => x > Alpha ? x : 0,
        "scaledtanh" => Alpha * Math.Tanh(Beta * x),
        "hardsigmoid" => Math.Clamp(Alpha * x + Beta, 0, 1),
        "elu" => x >= 0 ? x : Alpha * (Math.Exp(x) - 1),
        "softsign" => x / (1 + Math.Abs(x)),
        _ => Math.Log(1 + Math.Exp(x)),
    };

    private double SlopeAt(double y) => Name switch
    {
        "sigmoid" => y * (1 - y),
        "tanh" => 1 - y * y,
        "relu" => y > 0 ? 1 : 0,
        "affine" => Alpha,
        "leakyrelu" => y >= 0 ? 1 : Alpha,
        "thresholdedrelu" => y != 0 ? 1 : 0,
        "scaledtanh" => Beta * (Alpha - y * y / Alpha),
        "hardsigmoid" => y is > 0 and < 1 ? Alpha : 0,
        "elu" => y >= 0 ? 1 : y + Alpha,
        "softsign" => (1 - Math.Abs(y)) * (1 - Math.Abs(y)),
        _ => 1 - Math.Exp(-y),
    };
}
