using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering;

/// <summary>Images whose channels stand last, as some operators take them.</summary>
internal static class Layout
{
    /// <summary>[N, …, C] → [N, C, …]</summary>
    public static Var First(Var x, int rank) => x.Transpose([0, rank - 1, .. Enumerable.Range(1, rank - 2).Select(i => (long)i)]);

    /// <summary>[N, C, …] → [N, …, C]</summary>
    public static Var Last(Var x, int rank) => x.Transpose([0, .. Enumerable.Range(2, rank - 2).Select(i => (long)i), 1]);
}
