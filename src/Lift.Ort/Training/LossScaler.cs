using System.Globalization;

namespace Lift.Ort.Training;

/// <summary>
/// The number by which the loss is multiplied before the backward pass, so that small float16 gradients do not vanish; gradients are divided by it again.
/// <c>auto</c> does as PyTorch's GradScaler: 2¹⁶ at first, halved when a gradient overflows (that step is left out), doubled after 2000 good steps in a row. A number stays as it is.
/// Where no gradient passes through float16 (bfloat16 models, and all on the CPU, which computes in float32), nothing is scaled.
/// </summary>
internal sealed class LossScaler
{
    private const double First = 65536, Least = 1.0 / (1 << 24), Most = 1L << 40;
    private const int Patience = 2000, MostSkipped = 25;

    private readonly bool isAuto;
    private int skipped; // in a row

    /// <param name="spec">auto, off, or a number.</param>
    /// <param name="computes16Bit">False: gradients are computed in float32.</param>
    public LossScaler(string spec, bool computes16Bit)
    {
        isAuto = spec == "auto";
        IsActive = computes16Bit && spec != "off";
        if (IsActive) Scale = isAuto ? First : double.Parse(spec, CultureInfo.InvariantCulture);
    }

    /// <summary>True where the loss is scaled.</summary>
    public bool IsActive { get; }

    /// <summary>The scale of the next step; 1 where nothing is scaled.</summary>
    public double Scale { get; private set; } = 1;

    /// <summary>Good steps since the scale last changed.</summary>
    public int Good { get; private set; }

    /// <summary>What is wrong with an option's value, or null.</summary>
    public static bool IsValid(string spec) => spec is "auto" or "off" || (double.TryParse(spec, CultureInfo.InvariantCulture, out double n) && n > 0 && double.IsFinite((float)n));

    /// <summary>A step whose gradients are finite.</summary>
    public void Passed()
    {
        skipped = 0;
        if (!isAuto || !IsActive || ++Good < Patience) return;
        Scale = Math.Min(2 * Scale, Most);
        Good = 0;
    }

    /// <summary>A step with an infinite gradient or one that is no number. True: leave the step out and go on with <see cref="Scale"/> as it is now; false: the scale is not to blame.</summary>
    public bool Overflowed()
    {
        if (!IsActive || ++skipped > MostSkipped + (isAuto ? MostSkipped : 0)) return false;
        Good = 0;
        if (isAuto) Scale /= 2;
        return Scale >= Least;
    }

    /// <summary>Goes on as saved.</summary>
    public void Restore(double scale, int good)
    {
        if (IsActive) (Scale, Good) = (isAuto ? scale : Scale, good);
    }
}
