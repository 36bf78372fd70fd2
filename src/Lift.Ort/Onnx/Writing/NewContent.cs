namespace Lift.Ort.Onnx.Writing;

/// <summary>New values of a tensor of a file, made when they are written and let go afterwards, so that a model's changes are never in memory together.</summary>
/// <param name="Type">Element type, as stored.</param>
/// <param name="Dims">Dimensions, as stored.</param>
/// <param name="Make">Makes the values; may be called more than once.</param>
internal sealed record NewContent(ElementType Type, long[] Dims, Func<Tensor> Make)
{
    public long ByteLength => Type.ByteLength(Dims.Aggregate(1L, (n, d) => checked(n * d)));

    public TensorType TensorType => new(Type, Shape.Of(Dims));

    public static NewContent Of(Tensor tensor) => new(tensor.Type, tensor.Dims, () => tensor);

    /// <summary>Writes <paramref name="length"/> bytes from byte <paramref name="from"/> on.</summary>
    public unsafe void WriteTo(Stream to, long from, long length)
    {
        Tensor made = Make();
        PatchedCopy.Copy(made.Data, from, from + length, to);
        GC.KeepAlive(made);
        made.Forget();
    }
}
