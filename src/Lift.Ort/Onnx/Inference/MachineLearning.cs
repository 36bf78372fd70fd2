namespace Lift.Ort.Onnx.Inference;

/// <summary>
/// The operators of ai.onnx.ml that stand before the layers of an exported pipeline, or behind them. Source: ONNX's Operators-ml.md.
/// </summary>
internal static class MachineLearning
{
    [Infers("ai.onnx.ml.Scaler", "ai.onnx.ml.Normalizer")]
    static void Scaler(Inferred n) => n.Y(ElementType.Float, n.Shape(0));

    [Infers("ai.onnx.ml.Imputer", "ai.onnx.ml.Binarizer")]
    static void LikeFirst(Inferred n) => n.Y(n.X(0));

    [Infers("ai.onnx.ml.LabelEncoder")]
    static void LabelEncoder(Inferred n) => n.Y(
        n.Node.Has("values_floats") ? ElementType.Float : n.Node.Has("values_int64s") ? ElementType.Int64 : n.Node.Has("values_strings") ? ElementType.String : ElementType.Undefined, n.Shape(0));

    /// <summary>x [.., d], positions [k] ⇒ [.., k]; one row where x has rank 1</summary>
    [Infers("ai.onnx.ml.ArrayFeatureExtractor")]
    static void ArrayFeatureExtractor(Inferred n)
    {
        Dim count = n.Shape(1) is { } picks ? DimMath.Product(picks.Dims) : Dim.Unknown;
        n.Y(n.Element(), n.Shape(0) is not { } s ? null : s.Rank == 1 ? new Shape(1, count) : new Shape(s.Dims.SetItem(s.Rank - 1, count)));
    }

    /// <summary>One more axis, as long as there are categories.</summary>
    [Infers("ai.onnx.ml.OneHotEncoder")]
    static void OneHotEncoder(Inferred n)
    {
        Dim categories = n.Node.Ints("cats_int64s")?.Length ?? n.Node.Attributes.GetValueOrDefault("cats_strings")?.Strings.Count ?? Dim.Unknown;
        n.Y(ElementType.Float, n.Shape(0) is { } s ? new Shape([.. s.Dims, categories]) : null);
    }

    /// <summary>Columns of several tables side by side, as float32.</summary>
    [Infers("ai.onnx.ml.FeatureVectorizer")]
    static void FeatureVectorizer(Inferred n) =>
        n.Y(ElementType.Float, new Shape(n.Shape(0) is { Rank: > 0 } s ? s[0] : Dim.Unknown, n.Node.Ints("inputdimensions") is { } sizes ? sizes.Sum() : Dim.Unknown));
}
