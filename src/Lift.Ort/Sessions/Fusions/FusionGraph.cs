using System.Runtime.InteropServices;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Reading;
using Lift.Ort.Operators;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>A graph as pattern matchers see it: who makes a value, who reads it, what constants hold; and how a chain is replaced.</summary>
internal sealed class FusionGraph
{
    private readonly GraphProto graph;
    private readonly IDevice? device;
    private readonly Dictionary<string, NodeProto> makers = [];
    private readonly Dictionary<string, List<NodeProto>> readers = [];
    private readonly Dictionary<string, TensorProto> constants;
    private readonly Dictionary<string, ValueInfoProto> inputs;
    private readonly HashSet<string> outputs, captured;
    private readonly Dictionary<NodeProto, List<NodeProto>> inserted = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<NodeProto> gone = new(ReferenceEqualityComparer.Instance);

    /// <param name="frozen">Inputs of the model that are constants.</param>
    /// <param name="device">Where the model will run; null: the CPU.</param>
    public FusionGraph(ModelProto model, IEnumerable<Tensor>? frozen = null, IDevice? device = null)
    {
        (graph, this.device) = (model.Graph, device);
        Types = new FusionTypes(model, frozen ?? []);
        constants = graph.Initializer.ToDictionary(t => t.Name);
        inputs = graph.Input.ToDictionary(i => i.Name);
        outputs = [.. graph.Output.Select(o => o.Name)];
        captured = [.. graph.Node.SelectMany(n => n.Attribute).SelectMany(SubgraphNames.Of).SelectMany(SubgraphNames.Captured)];
        foreach (NodeProto node in graph.Node) Index(node);
    }

    /// <summary>The nodes as they are now; replacing does not disturb a walk over this copy.</summary>
    public NodeProto[] Nodes
    {
        get
        {
            Commit();
            return [.. graph.Node];
        }
    }

    /// <summary>Types and numbers of the values as the graph was before anything was replaced.</summary>
    public FusionTypes Types { get; }

    /// <summary>True where an operator of ours computes with values of this type, which a device without 16-bit arithmetic sees as float32.</summary>
    public bool Takes(string op, ElementType type)
    {
        if (type is ElementType.Float16 or ElementType.BFloat16 && device?.Computes16Bit != true) type = ElementType.Float;
        return TrainingOperators.Takes(device, op, type);
    }

    public bool Contains(NodeProto node) => node.Output.Count > 0 && makers.TryGetValue(node.Output.First(o => o.Length > 0), out NodeProto? maker) && ReferenceEquals(maker, node);

    public NodeProto? Maker(string value) => makers.GetValueOrDefault(value);

    /// <summary>The node of this operator that makes <paramref name="value"/>, or null.</summary>
    public NodeProto? Maker(string value, string op) => Maker(value) is { } node && node.OpType == op ? node : null;

    public IReadOnlyList<NodeProto> Readers(string value) => readers.TryGetValue(value, out var nodes) ? nodes : [];

    public bool IsOutput(string value) => outputs.Contains(value);

    /// <summary>True when exactly these nodes read the value and it is no output of the graph.</summary>
    public bool ReadOnlyBy(string value, params ReadOnlySpan<NodeProto> nodes)
    {
        if (IsOutput(value)) return false;
        foreach (NodeProto reader in Readers(value))
        {
            bool allowed = false;
            foreach (NodeProto node in nodes) allowed |= ReferenceEquals(node, reader);
            if (!allowed) return false;
        }
        return true;
    }

    /// <summary>The other input of a node with two inputs of which one is <paramref name="value"/>.</summary>
    public static string? Other(NodeProto node, string value) =>
        node.Input.Count != 2 ? null : node.Input[0] == value ? node.Input[1] : node.Input[1] == value ? node.Input[0] : null;

    /// <summary>The reader of both values with this operator, in either order.</summary>
    public NodeProto? Joined(string op, string a, string b) => Readers(a).FirstOrDefault(n => n.OpType == op && Other(n, a) == b);

    public bool IsConstant(string value) => constants.ContainsKey(value);

    /// <summary>True for what is there before any node runs: constants and inputs.</summary>
    public bool IsGiven(string value) => constants.ContainsKey(value) || inputs.ContainsKey(value);

    /// <summary>Dimensions of a constant or an input of the graph; null where they are not all numbers.</summary>
    public long[]? Dims(string value)
    {
        if (constants.TryGetValue(value, out TensorProto? tensor)) return [.. tensor.Dims];
        var shape = inputs.GetValueOrDefault(value)?.Type?.TensorType?.Shape;
        return shape is not null && shape.Dim.All(d => d.HasDimValue) ? [.. shape.Dim.Select(d => d.DimValue)] : null;
    }

    /// <summary>The number that a constant of one float element holds, or null.</summary>
    public float? Number(string value)
    {
        if (!constants.TryGetValue(value, out TensorProto? t) || t.DataType != (int)ElementType.Float || t.Dims.Any(d => d != 1)) return null;
        return t.FloatData.Count == 1 ? t.FloatData[0] : t.RawData.Length == 4 ? MemoryMarshal.Read<float>(t.RawData.Span) : null;
    }

    /// <summary>The elements of an int64 constant, or of a Concat of such constants; null where they are not known.</summary>
    public long[]? Integers(string value)
    {
        if (Maker(value, "Concat") is { } concat)
        {
            long[]?[] parts = [.. concat.Input.Select(Integers)];
            return parts.Any(p => p is null) ? null : [.. parts.SelectMany(p => p!)];
        }
        if (!constants.TryGetValue(value, out TensorProto? t) || t.DataType != (int)ElementType.Int64) return null;
        return t.RawData.Length > 0 ? MemoryMarshal.Cast<byte, long>(t.RawData.Span).ToArray() : [.. t.Int64Data];
    }

    public static long Int(NodeProto node, string attribute, long otherwise) => node.Attribute.FirstOrDefault(a => a.Name == attribute)?.I ?? otherwise;

    /// <summary>Puts a further node in front of <paramref name="at"/>.</summary>
    public void Insert(NodeProto at, NodeProto made) => Replace(at, [], made);

    /// <summary>Puts <paramref name="made"/> in the place of <paramref name="at"/>, removes the nodes of the chain, and lets readers of a key of <paramref name="renamed"/> read its value.</summary>
    public void Replace(NodeProto at, IEnumerable<NodeProto> removed, NodeProto made, IReadOnlyDictionary<string, string>? renamed = null)
    {
        if (!inserted.TryGetValue(at, out var before)) inserted[at] = before = [];
        before.Add(made);
        foreach (NodeProto node in removed) Remove(node);
        Index(made);
        foreach (var (value, name) in renamed ?? new Dictionary<string, string>())
        {
            foreach (NodeProto reader in Readers(value).ToArray())
            {
                for (int i = 0; i < reader.Input.Count; i++)
                    if (reader.Input[i] == value) reader.Input[i] = name;
                foreach (GraphProto inner in reader.Attribute.SelectMany(SubgraphNames.Of)) SubgraphNames.Rename(inner, new Dictionary<string, string> { [value] = name });
                readers[value].Remove(reader);
                if (!ListOf(name).Contains(reader)) ListOf(name).Add(reader);
            }
        }
    }

    /// <summary>True when nothing of what the node makes reaches an output of the graph, these nodes taken away.</summary>
    public bool IsDead(NodeProto node, IReadOnlyCollection<NodeProto> without)
    {
        var seen = new HashSet<NodeProto>(without, ReferenceEqualityComparer.Instance) { node };
        var open = new Stack<NodeProto>([node]);
        while (open.TryPop(out NodeProto? next))
        {
            foreach (string output in next.Output.Where(o => o.Length > 0))
            {
                if (IsOutput(output) || captured.Contains(output)) return false;
                foreach (NodeProto reader in Readers(output)) if (seen.Add(reader)) open.Push(reader);
            }
        }
        return true;
    }

    /// <summary>Takes away what the model says about the types of these values, which change.</summary>
    public void Undeclare(IReadOnlyCollection<string> values)
    {
        ValueInfoProto[] kept = [.. graph.ValueInfo.Where(v => !values.Contains(v.Name))];
        if (kept.Length == graph.ValueInfo.Count) return;
        graph.ValueInfo.Clear();
        graph.ValueInfo.AddRange(kept);
    }

    /// <summary>True where the node takes part in making the value.</summary>
    public bool Needs(string value, NodeProto node)
    {
        var seen = new HashSet<NodeProto>(ReferenceEqualityComparer.Instance);
        var open = new Stack<string>([value]);
        while (open.TryPop(out string? next))
        {
            if (Maker(next) is not { } maker || !seen.Add(maker)) continue;
            if (ReferenceEquals(maker, node)) return true;
            foreach (string input in Inputs(maker)) open.Push(input);
        }
        return false;
    }

    /// <summary>Takes out the makers of these values that nobody reads, and what only they read, and so on upwards.</summary>
    public void RemoveUnread(IEnumerable<string> values)
    {
        var open = new Stack<string>(values);
        while (open.TryPop(out string? value))
        {
            if (Maker(value) is not { } node || node.Output.Any(o => o.Length > 0 && (IsOutput(o) || captured.Contains(o) || Readers(o).Count > 0))) continue;
            Remove(node);
            foreach (string input in Inputs(node)) open.Push(input);
        }
    }

    /// <summary>Puts the changes into the graph, in one walk: a change at a time would cost the square of the nodes.</summary>
    public void Commit()
    {
        if (inserted.Count == 0 && gone.Count == 0) return;
        var nodes = new List<NodeProto>(graph.Node.Count);
        foreach (NodeProto node in graph.Node) Emit(node, nodes);
        graph.Node.Clear();
        graph.Node.AddRange(nodes);
        inserted.Clear();
        gone.Clear();
    }

    private void Remove(NodeProto node)
    {
        if (!gone.Add(node)) return;
        foreach (string input in Inputs(node)) readers[input].Remove(node);
        foreach (string output in node.Output.Where(o => makers.TryGetValue(o, out NodeProto? maker) && ReferenceEquals(maker, node))) makers.Remove(output);
    }

    private void Emit(NodeProto node, List<NodeProto> to)
    {
        foreach (NodeProto made in inserted.GetValueOrDefault(node) ?? []) Emit(made, to);
        if (!gone.Contains(node)) to.Add(node);
    }

    private static IEnumerable<string> Inputs(NodeProto node) => (node.Attribute.Count == 0 ? node.Input : node.Input.Concat(node.Attribute.SelectMany(SubgraphNames.Of).SelectMany(SubgraphNames.Captured))).Where(i => i.Length > 0).Distinct();

    private List<NodeProto> ListOf(string value) => readers.TryGetValue(value, out var list) ? list : readers[value] = [];

    private void Index(NodeProto node)
    {
        foreach (string output in node.Output.Where(o => o.Length > 0)) makers[output] = node;
        foreach (string input in Inputs(node)) ListOf(input).Add(node);
    }
}
