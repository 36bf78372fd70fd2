using Lift.Ort.Onnx;
namespace Lift.Ort.Gradients;
internal static class LongsExt
{
    public static long[]? TryGetLongs(this Graph g, string name) => g.Initializers.TryGetValue(name, out var t) && t.Type is ElementType.Int64 or ElementType.Int32 ? t.ToLongs() : null;
}
