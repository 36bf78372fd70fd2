using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Decoders;

/// <summary>What an operator does with an input that is certainly empty: nothing, so the input goes.</summary>
internal static class EmptyParts
{
    /// <summary>Inputs of attention operators that take a past.</summary>
    private static readonly Dictionary<string, int[]> pasts = new()
    {
        ["com.microsoft.GroupQueryAttention"] = [3, 4],
        ["com.microsoft.SparseAttention"] = [3, 4],
        ["com.microsoft.MultiHeadAttention"] = [6, 7],
        ["com.microsoft.DecoderMaskedMultiHeadAttention"] = [5, 6],
        ["com.microsoft.Attention"] = [4],
        ["com.microsoft.QAttention"] = [8],
        ["Attention"] = [4, 5],
    };

    /// <summary>Changes <paramref name="node"/> in place where it joins nothing to something.</summary>
    public static void Drop(Graph graph, Node node)
    {
        if (pasts.TryGetValue(node.Operator, out int[]? inputs))
        {
            foreach (int i in inputs.Where(i => node.Input(i) is { } name && graph.TypeOf(name).Shape?.Dims.Any(d => d.Value == 0) == true)) node.Inputs[i] = "";
            while (node.Inputs.Count > 0 && node.Inputs[^1].Length == 0) node.Inputs.RemoveAt(node.Inputs.Count - 1);
        }
        else if (node.Operator == "Concat" && node.Inputs.Count > 1) DropFromConcat(graph, node);
    }

    private static void DropFromConcat(Graph graph, Node node)
    {
        string[] kept = [.. node.Inputs.Where(i => !IsEmpty(graph, i, node.Int("axis")))];
        if (kept.Length == 0 || kept.Length == node.Inputs.Count) return;
        node.Inputs.Clear();
        node.Inputs.AddRange(kept);
        if (kept.Length > 1) return;
        node.OpType = "Identity";
        node.Attributes.Clear();
    }

    private static bool IsEmpty(Graph graph, string name, long axis) =>
        graph.TypeOf(name).Shape is { } shape && axis >= -shape.Rank && axis < shape.Rank && shape[(int)axis].Value == 0;
}
