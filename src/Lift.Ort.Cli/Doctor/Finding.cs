namespace Lift.Ort.Cli.Doctor;

/// <summary>How a check ended.</summary>
internal enum Health
{
    /// <summary>It is there, or right.</summary>
    Good,

    /// <summary>It is not there.</summary>
    Missing,

    /// <summary>It is there and wrong.</summary>
    Wrong,
}

/// <summary>One line of <c>lift doctor</c>.</summary>
/// <param name="Check">What was looked at.</param>
/// <param name="Detail">What was found: versions, places, numbers.</param>
/// <param name="Remedy">The sentence that fixes it; null where all is well.</param>
internal sealed record Finding(string Check, Health Health, string Detail, string? Remedy = null)
{
    /// <summary>Runs a check; what it throws is its finding.</summary>
    public static Finding Of(string check, string remedy, Func<string> body)
    {
        try
        {
            return new(check, Health.Good, body());
        }
        catch (LiftException e)
        {
            return new(check, Health.Wrong, e.Message.ReplaceLineEndings(" "), remedy);
        }
        catch (Exception e) when (e is Microsoft.ML.OnnxRuntime.OnnxRuntimeException or DllNotFoundException or EntryPointNotFoundException)
        {
            return new(check, Health.Wrong, $"{e.GetType().Name}: {e.Message.ReplaceLineEndings(" ")}", remedy);
        }
    }
}
