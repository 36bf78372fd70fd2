namespace Lift.Ort.Operators;

/// <summary>Gradients of functions of one element: dX from dY and the forward's input or output, whichever the formula needs.</summary>
internal static partial class ActivationGrads
{
    public static readonly OperatorSchema[] Schemas =
    [
        Of("SigmoidGrad", "Y", _ => new SigmoidGrad()),
        Of("TanhGrad", "Y", _ => new TanhGrad()),
        Of("ReluGrad", "X", _ => new ReluGrad()),
        Of("LeakyReluGrad", "Y", n => new LeakyReluGrad(n.Float("alpha", 0.01f))),
        Of("QuickGeluGrad", "X", n => new QuickGeluGrad(n.Float("alpha", 1.702f))),
        Of("FastGeluGrad", "X", _ => new FastGeluGrad()),
        Of("GeluGrad", "X", _ => new GeluGrad(), "float"),
        new("BiasGeluGrad_dX", ["dY: float", "X: float", "B: float"], ["dX: float"], _ => new BiasGrad<GeluGrad>()) { InPlace = 0, OnCuda = true },
        new("BiasFastGeluGrad_dX", ["dY: T", "X: T", "B: T"], ["dX: T"], _ => new BiasGrad<FastGeluGrad>()) { InPlace = 0, OnCuda = true },
    ];

    private static OperatorSchema Of<TFunction>(string name, string second, Func<NodeAttributes, TFunction> function, string type = "T")
        where TFunction : struct, IVectorFunction =>
        new(name, [$"dY: {type}", $"{second}: {type}"], [$"dX: {type}"], n => new ElementwiseGrad<TFunction>(function(n))) { InPlace = 0, OnCuda = true };
}

/// <summary>dx = f(dy, x), element by element.</summary>
internal sealed partial class ElementwiseGrad<TFunction>(TFunction function) : FloatKernel where TFunction : struct, IVectorFunction;

/// <summary>dx = f(dy, x + bias), the bias along the last axis.</summary>
internal sealed partial class BiasGrad<TFunction> : FloatKernel where TFunction : struct, IVectorFunction;
