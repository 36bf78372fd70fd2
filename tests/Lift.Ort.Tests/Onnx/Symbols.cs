using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Lift.Ort.Tests.Onnx;

/// <summary>Holds the numbers that symbols stand for in one run and checks inferred types against actual values.</summary>
internal sealed class Symbols
{
    private readonly Dictionary<string, long> bound = [];

    public void Check(string name, TensorType inferred, OrtValue actual)
    {
        OrtTensorTypeAndShapeInfo info = actual.GetTensorTypeAndShape();
        if (inferred.Element != ElementType.Undefined) Assert.AreEqual((int)info.ElementDataType, (int)inferred.Element, $"{name} {inferred}: element type {info.ElementDataType}");
        if (inferred.Shape is not { } shape) return;
        Assert.AreEqual(info.Shape.Length, shape.Rank, $"{name} {inferred}: actually [{string.Join(", ", info.Shape)}]");
        for (int i = 0; i < shape.Rank; i++) Check($"{name} {inferred} axis {i}", shape[i], info.Shape[i]);
    }

    public void CheckContent(Graph graph, string name, OrtValue actual)
    {
        if (graph.ContentOf(name) is not { } content) return;
        long[] values = actual.GetTensorTypeAndShape().ElementDataType switch
        {
            TensorElementType.Int64 => actual.GetTensorDataAsSpan<long>().ToArray(),
            TensorElementType.Int32 => [.. actual.GetTensorDataAsSpan<int>().ToArray()],
            _ => [.. actual.GetTensorDataAsSpan<bool>().ToArray().Select(b => b ? 1 : 0)],
        };
        Assert.HasCount(values.Length, content, name);
        for (int i = 0; i < values.Length; i++) Check($"content {i} of {name}", content[i], values[i]);
    }

    private void Check(string where, Dim inferred, long seen)
    {
        if (inferred.Value is { } number) Assert.AreEqual(seen, number, where);
        if (inferred.Symbol is not { } symbol) return;
        if (!bound.TryGetValue(symbol, out long before)) bound[symbol] = before = Evaluate(symbol) ?? seen;
        Assert.AreEqual(before, seen, $"{where}: '{symbol}'");
    }

    /// <summary>The value of a sum of products of bound names; null for anything else.</summary>
    private long? Evaluate(string symbol)
    {
        long sum = 0;
        foreach (string term in symbol.Replace(" - ", " + -").Split(" + "))
        {
            long product = 1;
            foreach (string part in term.Split('*'))
            {
                string factor = part;
                if (factor.StartsWith('-') && !long.TryParse(factor, out _)) (product, factor) = (-product, factor[1..]);
                if (long.TryParse(factor, out long n)) product *= n;
                else if (bound.TryGetValue(factor, out long v)) product *= v;
                else return null;
            }
            sum += product;
        }
        return sum;
    }
}
