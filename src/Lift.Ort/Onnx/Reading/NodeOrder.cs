namespace Lift.Ort.Onnx.Reading;

/// <summary>Checks that every name a graph uses is defined once, and puts the nodes into topological order (stable: a sorted graph stays as it is).</summary>
internal static class NodeOrder
{
    public static void Sort(Graph graph, string path)
    {
        Dictionary<string, int> producer = Definitions(graph, path);
        var users = new List<int>?[graph.Nodes.Count];
        var open = new int[graph.Nodes.Count];
        var needs = new List<int>[graph.Nodes.Count];
        for (int i = 0; i < graph.Nodes.Count; i++)
        {
            needs[i] = [];
            foreach (string name in Uses(graph.Nodes[i]))
            {
                if (!producer.TryGetValue(name, out int p))
                {
                    throw new LiftException($"{graph.Nodes[i]} in '{path}' reads '{name}', which no node, input or initializer defines.");
                }
                if (p < 0) continue;
                needs[i].Add(p);
                (users[p] ??= []).Add(i);
                open[i]++;
            }
        }
        foreach (GraphValue output in graph.Outputs)
        {
            if (!producer.ContainsKey(output.Name)) throw new LiftException($"Output '{output.Name}' of '{path}' is defined by no node, input or initializer.");
        }

        var ready = new PriorityQueue<int, int>(Enumerable.Range(0, open.Length).Where(i => open[i] == 0).Select(i => (i, i)));
        var sorted = new List<Node>(open.Length);
        var done = new bool[open.Length];
        while (ready.TryDequeue(out int i, out _))
        {
            sorted.Add(graph.Nodes[i]);
            done[i] = true;
            foreach (int user in users[i] ?? [])
            {
                if (--open[user] == 0) ready.Enqueue(user, user);
            }
        }
        if (sorted.Count < graph.Nodes.Count) throw Cycle(graph, path, needs, done);
        graph.Nodes.Clear();
        graph.Nodes.AddRange(sorted);
    }

    /// <summary>The values that a node reads, those that its subgraphs take from outside included.</summary>
    public static IEnumerable<string> Uses(Node node)
    {
        var used = new HashSet<string>(node.Inputs.Where(i => i.Length > 0));
        used.UnionWith(node.Captured);
        return used;
    }

    /// <summary>Where each value comes from: a node's index, or -1 for inputs and initializers.</summary>
    private static Dictionary<string, int> Definitions(Graph graph, string path)
    {
        var producer = graph.Initializers.Keys.ToDictionary(k => k, _ => -1);
        foreach (GraphValue input in graph.Inputs) Define(input.Name, -1);
        for (int i = 0; i < graph.Nodes.Count; i++)
        {
            foreach (string output in graph.Nodes[i].Outputs.Where(o => o.Length > 0)) Define(output, i);
        }
        return producer;

        void Define(string name, int by)
        {
            if (!producer.TryAdd(name, by)) throw new LiftException($"'{path}' defines the value '{name}' twice{(by < 0 ? "" : $", the second time in {graph.Nodes[by]}")}.");
        }
    }

    private static LiftException Cycle(Graph graph, string path, List<int>[] needs, bool[] done)
    {
        var seen = new List<int>();
        for (int i = Array.IndexOf(done, false); ; i = needs[i].First(p => !done[p]))
        {
            int start = seen.IndexOf(i);
            seen.Add(i);
            if (start < 0) continue;
            IEnumerable<string> names = seen[start..].Take(9).Select(n => graph.Nodes[n].ToString()).Reverse();
            return new LiftException($"The nodes of '{path}' form a cycle: {string.Join(" → ", names)}{(seen.Count - start > 9 ? " → …" : "")}.");
        }
    }
}
