namespace Lift.Ort.Onnx.Reading;

/// <summary>
/// The weights that a file keeps inside the branches and bodies of If, Loop and Scan. They become initializers of the main graph, which subgraphs see from
/// inside; so they are mapped, found and trained as all others. A weight that sibling branches both hold, as merged decoders do, is one initializer.
/// </summary>
internal sealed unsafe class SubgraphWeights
{
    /// <summary>Smaller tensors of other types are numbers of the computation and stay where they are.</summary>
    private const int Large = 1024;

    /// <summary>Tensors of fewer elements are too often equal by chance to be one because they are equal.</summary>
    private const int Telling = 16;

    private readonly List<Entry> entries = [];
    private readonly HashSet<string> taken = [];

    public SubgraphWeights(GraphProto main, TensorReader reader)
    {
        if (!main.Node.Any(HasSubgraph)) return;
        Take(main);
        Collect(main, "", "", reader);
        var known = new Dictionary<(string, long), List<Entry>>();
        foreach (Entry entry in entries)
        {
            var key = (entry.Tensor.Type.ToString() + Shape.Of(entry.Tensor.Dims), Mark(entry.Tensor));
            if (!known.TryGetValue(key, out var alike)) known[key] = alike = [];
            Entry? twin = alike.Find(e => e.Branch != entry.Branch && e.Proto.Name == entry.Proto.Name && Equal(e, entry))
                ?? (entry.Tensor.Count < Telling ? null : alike.Find(e => e.Branch != entry.Branch && e.Owner == entry.Owner && !Shared(e, entry.Branch) && Equal(e, entry)));
            entry.Name = twin?.Name ?? Unused(entry);
            alike.Add(entry);
        }
    }

    /// <summary>The initializer's name in the main graph by the place of its message: node, attribute and subgraph on the way, then its index.</summary>
    public IReadOnlyDictionary<string, string> Names => entries.ToDictionary(e => e.Path, e => e.Name);

    /// <summary>Each weight once, under its name in the main graph.</summary>
    public IEnumerable<Tensor> Tensors => entries.DistinctBy(e => e.Name).Select(e => e.Tensor.Rename(e.Name));

    /// <summary>Takes the weights out of the subgraphs' messages, which refer to them by their new names from then on.</summary>
    public void MoveOut()
    {
        foreach (var group in entries.GroupBy(e => e.Graph))
        {
            foreach (Entry entry in group) group.Key.Initializer.Remove(entry.Proto);
            SubgraphNames.Rename(group.Key, group.Where(e => e.Name != e.Proto.Name).ToDictionary(e => e.Proto.Name, e => e.Name));
        }
    }

    /// <param name="Path">The place of the tensor's message.</param>
    /// <param name="Branch">The subgraph that holds it, by place.</param>
    /// <param name="Owner">The node whose subgraph that is, by place.</param>
    private sealed record Entry(string Path, string Branch, string Owner, string Stem, GraphProto Graph, TensorProto Proto, Tensor Tensor)
    {
        public string Name { get; set; } = "";
    }

    private static bool HasSubgraph(NodeProto node) => node.Attribute.Any(a => a.G is not null || a.Graphs.Count > 0);

    private void Take(GraphProto graph)
    {
        taken.UnionWith(graph.Input.Select(i => i.Name));
        taken.UnionWith(graph.Initializer.Select(i => i.Name));
        taken.UnionWith(graph.Node.SelectMany(n => n.Output));
    }

    private void Collect(GraphProto graph, string path, string stem, TensorReader reader)
    {
        for (int n = 0; n < graph.Node.Count; n++)
        {
            NodeProto node = graph.Node[n];
            for (int a = 0; a < node.Attribute.Count; a++)
            {
                AttributeProto attribute = node.Attribute[a];
                string owner = $"{path}/{n}", name = $"{stem}{(node.Name.Length > 0 ? node.Name : node.Output.FirstOrDefault())}/{attribute.Name}/";
                if (attribute.G is not null) Collect(attribute.G, $"{owner}.{a}", owner, name, reader);
                for (int g = 0; g < attribute.Graphs.Count; g++) Collect(attribute.Graphs[g], $"{owner}.{a}.{g}", owner, name, reader);
            }
        }
    }

    private void Collect(GraphProto graph, string branch, string owner, string stem, TensorReader reader)
    {
        HashSet<string> border = [.. graph.Input.Select(i => i.Name), .. graph.Output.Select(o => o.Name)]; // a subgraph must not give out a value from outside
        for (int i = 0; i < graph.Initializer.Count; i++)
        {
            TensorProto proto = graph.Initializer[i];
            var type = (ElementType)proto.DataType;
            if (type.Bits() == 0 || proto.Name.Length == 0 || border.Contains(proto.Name)) continue;
            Tensor tensor = reader.Read(proto, proto.Name);
            if (type.IsFloat() ? tensor.Count > 0 : tensor.ByteLength >= Large) entries.Add(new(Place(branch, i), branch, owner, stem, graph, proto, tensor));
        }
        taken.UnionWith(graph.Input.Select(i => i.Name));
        taken.UnionWith(graph.Node.SelectMany(n => n.Output));
        Collect(graph, branch, stem, reader);
    }

    /// <summary>How <see cref="Names"/> spells the place of initializer <paramref name="index"/> of the subgraph at <paramref name="branch"/>.</summary>
    public static string Place(string branch, int index) => $"{branch}#{index}";

    private string Unused(Entry entry)
    {
        string name = taken.Add(entry.Proto.Name) ? entry.Proto.Name : entry.Stem + entry.Proto.Name;
        for (int i = 1; name != entry.Proto.Name && !taken.Add(name); i++) name = $"{entry.Stem}{entry.Proto.Name}_{i}";
        return name;
    }

    private bool Shared(Entry entry, string branch) => entries.Exists(e => e.Branch == branch && e.Name == entry.Name);

    private static bool Equal(Entry a, Entry b)
    {
        const int Piece = 1 << 30;
        for (long at = 0; at < a.Tensor.ByteLength; at += Piece)
        {
            int length = (int)Math.Min(Piece, a.Tensor.ByteLength - at);
            if (!new ReadOnlySpan<byte>(a.Tensor.Data + at, length).SequenceEqual(new(b.Tensor.Data + at, length))) return false;
        }
        GC.KeepAlive((a, b));
        return true;
    }

    /// <summary>A few bytes from all over the tensor: different for almost all different tensors.</summary>
    private static long Mark(Tensor tensor)
    {
        var hash = new HashCode();
        for (int i = 0; i < 64; i++) hash.Add(tensor.Data[(long)((tensor.ByteLength - 1) * (i / 63.0))]);
        GC.KeepAlive(tensor);
        return hash.ToHashCode();
    }
}
