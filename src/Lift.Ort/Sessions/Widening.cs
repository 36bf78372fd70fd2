using System.Runtime.InteropServices;
using Google.Protobuf;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions;

/// <summary>
/// Lets a device without 16-bit arithmetic run a 16-bit model: every 16-bit input is cast to float32 behind the input, constants become float32, and casts to
/// 16 bits go to float32 instead. Weights stay 16-bit in memory; results are those of float32 arithmetic on them. In memory only, never in a file.
/// </summary>
internal static class Widening
{
    private const string Prefix = "lift/wide/"; // keeps our names apart from the model's

    /// <summary>The model itself where it holds nothing of 16 bits, otherwise a widened copy.</summary>
    public static ModelProto Run(ModelProto model)
    {
        GraphProto graph = model.Graph;
        bool narrow = graph.Input.Any(i => IsNarrow(i.Type?.TensorType?.ElemType)) || graph.Initializer.Any(t => IsNarrow(t.DataType)) || graph.Node.Any(n => n.OpType == "Cast" && n.Attribute.Any(a => IsNarrow((int)a.I)));
        if (!narrow) return model;
        model = model.Clone();
        graph = model.Graph;
        var wide = new Dictionary<string, string>();
        foreach (ValueInfoProto input in graph.Input.Where(i => IsNarrow(i.Type?.TensorType?.ElemType))) wide[input.Name] = Prefix + input.Name;
        Widen(graph, wide);
        int at = 0;
        foreach (var (name, widened) in wide)
        {
            var to = new AttributeProto { Name = "to", Type = AttributeProto.Types.AttributeType.Int, I = (long)ElementType.Float };
            graph.Node.Insert(at++, new NodeProto { OpType = "Cast", Name = widened, Input = { name }, Output = { widened }, Attribute = { to } });
        }
        foreach (ValueInfoProto output in graph.Output.Where(o => IsNarrow(o.Type?.TensorType?.ElemType))) output.Type.TensorType.ElemType = (int)ElementType.Float;
        graph.ValueInfo.Clear();
        return model;
    }

    private static bool IsNarrow(int? type) => (ElementType?)type is ElementType.Float16 or ElementType.BFloat16;

    private static void Widen(GraphProto graph, Dictionary<string, string> wide)
    {
        foreach (TensorProto tensor in graph.Initializer) Widen(tensor);
        foreach (NodeProto node in graph.Node)
        {
            for (int i = 0; i < node.Input.Count; i++) node.Input[i] = wide.GetValueOrDefault(node.Input[i], node.Input[i]);
            foreach (AttributeProto a in node.Attribute)
            {
                if (a.Name is "to" or "dtype" && IsNarrow((int)a.I)) a.I = (long)ElementType.Float;
                if (a.T is not null) Widen(a.T);
                if (a.G is not null) Widen(a.G, wide);
            }
        }
        foreach (ValueInfoProto output in graph.Output.Where(o => wide.ContainsKey(o.Name))) output.Name = wide[output.Name];
    }

    private static void Widen(TensorProto tensor)
    {
        if (!IsNarrow(tensor.DataType)) return;
        var type = (ElementType)tensor.DataType;
        ushort[] bits = tensor.HasRawData ? MemoryMarshal.Cast<byte, ushort>(tensor.RawData.Span).ToArray() : [.. tensor.Int32Data.Select(v => (ushort)v)];
        float[] values = Array.ConvertAll(bits, b => type == ElementType.Float16 ? (float)BitConverter.UInt16BitsToHalf(b) : BitConverter.UInt32BitsToSingle((uint)b << 16));
        tensor.DataType = (int)ElementType.Float;
        tensor.Int32Data.Clear();
        tensor.RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<float>(values));
    }
}
