using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Cases of Fourier transforms; each with the signal's sizes known, and again with symbols for them.</summary>
[GradientCaseGroup]
internal static class SignalCases
{
    public static Dictionary<string, GradientCase[]> Cases { get; } = ConvolutionCases.Twice(new()
    {
        ["DFT"] =
        [
            .. from inverse in new[] { 0L, 1 }
               from width in new[] { 1L, 2 }
               from length in new long?[] { null, 8, 4, 7 }
               select new GradientCase($"17, inverse {inverse}, {width}, {length}", length is { } l ? [F([2, 6, width]), S(l)] : [F([2, 6, width])], n => n.With("inverse", inverse)),
            new("one-sided", [F([2, 6, 1])], n => n.With("onesided", 1L)), new("one-sided, odd, axis", [F([2, 3, 5, 1])], n => n.With("onesided", 1L).With("axis", 2L)), new("first axis", [F([4, 3, 2])], n => n.With("axis", 0L)),
            new("20", [F([2, 6, 2])], Opset: 20), new("20, axis, one-sided", [F([6, 2, 1]), S(5L), S(0L)], n => n.With("onesided", 1L), Opset: 20), new("20, negative axis", [F([2, 4, 3, 2]), null, S(-3L)], n => n.With("inverse", 1L), Opset: 20),
        ],
        ["STFT"] =
        [
            new("window", [F([2, 16, 1]), S(4L), F([8], 0.2f, 1)]) { Vary = [0, 2] }, new("length", [F([1, 17, 1]), S(3L), null, S(6L)]) { Vary = [0] },
            new("both, two-sided", [F([2, 12, 1]), S(2L), F([5], 0.2f, 1), S(5L)], n => n.With("onesided", 0L)) { Vary = [0, 2] },
        ],
    });
}
