using System.Runtime.InteropServices;
using Google.Protobuf;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;

namespace Lift.Ort.Sessions;

/// <summary>
/// Lets a device without 16-bit arithmetic run a 16-bit model: every node gets 16-bit inputs of the graph as float32, constants become float32, and casts to
/// 16 bits go to float32 instead. Weights stay 16-bit in memory; results are those of float32 arithmetic on them. In memory only, never in a file.
/// </summary>
internal sealed class Widening
{
    private const string Prefix = "lift/wide/"; // keeps our names apart from the model's

    /// <summary>Weights from this many elements on are widened anew for every node that reads them, forward and backward, so that no float32 copy outlives its node.</summary>
    private const long Large = 1 << 16;

    /// <summary>Operators that only move elements: those between a weight and its uses are done anew for every use too.</summary>
    private static readonly HashSet<string> moving = ["Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast", "Flatten"];

    /// <summary>Operators that take few elements out of their first input: they read 16 bits, and only what they take is widened.</summary>
    private static readonly HashSet<string> choosing = ["Gather", "GatherElements", "GatherND", "Slice"];

    private readonly GraphProto graph;
    private readonly bool operators;
    private readonly HashSet<string> narrow, large, constants, kept;
    private readonly Dictionary<string, NodeProto> moved = []; // by the value they make
    private readonly Dictionary<string, string> shared = [];
    private readonly List<NodeProto> front = [], rest = [];

    private Widening(GraphProto graph, bool operators)
    {
        (this.graph, this.operators) = (graph, operators);
        List<ValueInfoProto> inputs = [.. graph.Input.Where(i => IsNarrow(i.Type?.TensorType?.ElemType))];
        narrow = [.. inputs.Select(i => i.Name)];
        large = [.. inputs.Where(i => ElementsOf(i) >= Large).Select(i => i.Name)];
        constants = [.. graph.Initializer.Select(t => t.Name)];
        kept = [.. graph.Output.Select(o => o.Name), .. graph.Node.SelectMany(n => n.Attribute).Where(a => a.G is not null).SelectMany(a => Names(a.G))];
    }

    /// <summary>The model itself where it holds nothing of 16 bits, otherwise a widened copy.</summary>
    /// <param name="operators">True where <see cref="TrainingOperators"/> are registered with the session; false where it leaves equal nodes apart (see <see cref="LeavesEqualNodesApart"/>).</param>
    public static ModelProto Run(ModelProto model, bool operators)
    {
        if (!IsNarrow(model.Graph)) return model;
        model = model.Clone();
        new Widening(model.Graph, operators).Run();
        if (operators && model.OpsetImport.All(o => o.Domain != OperatorSchema.OwnDomain)) model.OpsetImport.Add(new OperatorSetIdProto { Domain = OperatorSchema.OwnDomain, Version = 1 });
        return model;
    }

    /// <summary>ONNX Runtime's setting that keeps it from merging the casts of a weight's uses: name and value.</summary>
    public static (string Name, string Value) LeavesEqualNodesApart => ("optimization.disable_specified_optimizers", "CommonSubexpressionElimination");

    private static bool IsNarrow(int? type) => (ElementType?)type is ElementType.Float16 or ElementType.BFloat16;

    private static bool IsNarrow(GraphProto graph) => graph.Input.Any(i => IsNarrow(i.Type?.TensorType?.ElemType)) || graph.Initializer.Any(t => IsNarrow(t.DataType))
        || graph.Node.SelectMany(n => n.Attribute).Any(a => (a.Name is "to" or "dtype" && IsNarrow((int)a.I)) || (a.T is not null && IsNarrow(a.T.DataType)) || (a.G is not null && IsNarrow(a.G)));

    private static long ElementsOf(ValueInfoProto input) => input.Type.TensorType.Shape is { } shape && shape.Dim.All(d => d.HasDimValue) ? shape.Dim.Aggregate(1L, (n, d) => n * d.DimValue) : 0;

    private void Run()
    {
        foreach (NodeProto node in graph.Node)
        {
            if (IsMoved(node)) moved[node.Output[0]] = node;
            else Read(node);
        }
        // In front of everything else: ONNX Runtime then runs a node's widening right before the node, after all that the node waits for.
        graph.Node.Clear();
        graph.Node.AddRange(front);
        graph.Node.AddRange(rest);
        ToFloat(graph);
        foreach (ValueInfoProto output in graph.Output.Where(o => IsNarrow(o.Type?.TensorType?.ElemType))) output.Type.TensorType.ElemType = (int)ElementType.Float;
        graph.ValueInfo.Clear();
    }

    private bool IsMoved(NodeProto node) => moving.Contains(node.OpType) && node.Domain.Length == 0 && node.Output.Count == 1 && !kept.Contains(node.Output[0])
        && large.Contains(RootOf(node.Input[0])) && node.Input.Skip(1).All(constants.Contains);

    /// <summary>The graph's input that a chain of moving nodes begins with, or the value itself.</summary>
    private string RootOf(string value)
    {
        while (moved.TryGetValue(value, out NodeProto? node)) value = node.Input[0];
        return value;
    }

    private void Read(NodeProto node)
    {
        rest.Add(node);
        if (node.OpType is "Shape" or "Size" && node.Input[0] is var whole && narrow.Contains(RootOf(whole)))
        {
            node.Input[0] = Narrow(whole);
            return;
        }
        bool chooses = choosing.Contains(node.OpType) && large.Contains(RootOf(node.Input[0]));
        if (chooses)
        {
            node.Input[0] = Narrow(node.Input[0]);
            string output = node.Output[0];
            node.Output[0] = $"{Prefix}{output}/narrow";
            rest.Add(Wide(node.Output[0], output));
        }
        var own = new Dictionary<string, string>(); // one copy for a node that reads a weight twice
        for (int i = chooses ? 1 : 0; i < node.Input.Count; i++)
        {
            string value = node.Input[i];
            if (!narrow.Contains(RootOf(value))) continue;
            if (!own.TryGetValue(value, out string? wide)) own[value] = wide = large.Contains(RootOf(value)) ? Anew(value, true) : Shared(value);
            node.Input[i] = wide;
        }
        foreach (AttributeProto attribute in node.Attribute.Where(a => a.G is not null)) Rename(attribute.G);
    }

    /// <summary>One float32 copy for all uses of a small input.</summary>
    private string Shared(string input)
    {
        if (!shared.TryGetValue(input, out string? wide))
        {
            shared[input] = wide = Prefix + input;
            front.Add(Wide(input, wide));
        }
        return wide;
    }

    /// <summary>A large weight for one node: widened, then moved as the model moves it.</summary>
    private string Anew(string value, bool widened)
    {
        if (!moved.TryGetValue(value, out NodeProto? node))
        {
            if (!widened) return value;
            front.Add(Wide(value, $"{Prefix}{value}/{front.Count}"));
            return front[^1].Output[0];
        }
        string input = Anew(node.Input[0], widened);
        if (node.OpType == "Cast") return input;
        NodeProto copy = node.Clone();
        copy.Input[0] = input;
        copy.Output[0] = copy.Name = $"{Prefix}{value}/{front.Count}";
        front.Add(copy);
        return copy.Output[0];
    }

    private string Narrow(string value) => Anew(value, false);

    private NodeProto Wide(string from, string to)
    {
        var attribute = new AttributeProto { Name = operators ? "use" : "to", Type = AttributeProto.Types.AttributeType.Int, I = operators ? front.Count + rest.Count : (long)ElementType.Float };
        return new NodeProto { OpType = operators ? "Widen" : "Cast", Domain = operators ? OperatorSchema.OwnDomain : "", Name = $"{to}/widen", Input = { from }, Output = { to }, Attribute = { attribute } };
    }

    /// <summary>A subgraph reads the shared copies.</summary>
    private void Rename(GraphProto inner)
    {
        foreach (NodeProto node in inner.Node)
        {
            for (int i = 0; i < node.Input.Count; i++)
                if (narrow.Contains(node.Input[i])) node.Input[i] = Shared(node.Input[i]);
            foreach (AttributeProto attribute in node.Attribute.Where(a => a.G is not null)) Rename(attribute.G);
        }
        foreach (ValueInfoProto output in inner.Output.Where(o => narrow.Contains(o.Name))) output.Name = Shared(output.Name);
    }

    private static IEnumerable<string> Names(GraphProto inner) =>
        inner.Node.SelectMany(n => n.Input.Concat(n.Attribute.Where(a => a.G is not null).SelectMany(a => Names(a.G)))).Concat(inner.Output.Select(o => o.Name));

    private static void ToFloat(GraphProto graph)
    {
        foreach (TensorProto tensor in graph.Initializer) ToFloat(tensor);
        foreach (AttributeProto a in graph.Node.SelectMany(n => n.Attribute))
        {
            if (a.Name is "to" or "dtype" && IsNarrow((int)a.I)) a.I = (long)ElementType.Float;
            if (a.T is not null) ToFloat(a.T);
            if (a.G is not null) ToFloat(a.G);
        }
    }

    private static void ToFloat(TensorProto tensor)
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
