using System.Collections.Immutable;
using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.ControlFlow;

/// <summary>
/// Sequences and optional values whose elements are known before the run: what takes an element out of one is that element. Exporters write them for
/// split, chunk and unbind, and for lists that a loop fills.
/// </summary>
/// <param name="take">Puts nodes into the graph.</param>
internal sealed class Sequences(Graph graph, KnownNumbers numbers, Action<IEnumerable<Node>> take)
{
    /// <summary>Operators that make, change or read a sequence or an optional value.</summary>
    public static readonly IReadOnlySet<string> Operators = new HashSet<string>
    {
        "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase", "SequenceAt", "SequenceLength", "SplitToSequence", "ConcatFromSequence", "SequenceMap",
        "Optional", "OptionalGetElement", "OptionalHasElement",
    };

    private readonly Dictionary<string, Sequence> known = [];

    private readonly Dictionary<string, string> aliases = []; // optional values and what they hold

    private readonly HashSet<string> absent = []; // optional values without an element

    /// <summary>Why a node of sequences is still there; null for other nodes.</summary>
    public static string? WhyNot(Node node) => !Operators.Contains(node.Operator) ? null
        : node.OpType is "Optional" or "OptionalGetElement" or "OptionalHasElement" ? $"{node} works on an optional value that depends on the run."
        : node.OpType == "SequenceAt" ? $"{node} takes an element of '{node.Inputs[0]}' whose place, or which itself, depends on the run."
        : $"{node} works on a sequence whose length depends on the run; a list that is made by a fixed split, or filled by a loop of known length, can be written out.";

    /// <summary>Takes note of the sequence that a node makes, and puts in place what says the same as a node that reads one. False: the node is to stay as it is.</summary>
    public bool TryFold(Node node)
    {
        if (node.Domain.Length > 0) return false;
        if (node.OpType == "Identity" && node.Input(0) is { } copied)
        {
            if (absent.Contains(copied)) absent.Add(node.Outputs[0]);
            return Note(node, known.GetValueOrDefault(copied));
        }
        if (!Operators.Contains(node.OpType)) return false;
        return node.OpType switch
        {
            "SequenceEmpty" => Note(node, new Listed([])),
            "SequenceConstruct" => Note(node, new Listed([.. node.Inputs])),
            "SequenceInsert" => Note(node, Of(node) is { Count: { } n } s && Place(node, 2, n, n) is { } at and >= 0 && at <= n ? new Listed(All(s).Insert(at, node.Inputs[1])) : null),
            "SequenceErase" => Note(node, Of(node) is { Count: { } n } s && Place(node, 1, n, n - 1) is { } at and >= 0 && at < n ? new Listed(All(s).RemoveAt(at)) : null),
            "SplitToSequence" => Note(node, SplitOf(node)),
            "SequenceAt" => Of(node) is { } s && Place(node, 1, s.Count, null) is { } at && s.At(at) is { } element && Copy(node, element),
            "SequenceLength" => Of(node)?.Count is { } count && Copy(node, Constant(node, (long)count)),
            "ConcatFromSequence" => Of(node) is { Count: > 0 } s && Join(node, All(s)),
            "SequenceMap" => Of(node) is { Count: { } n } && Map(node, n),
            "Optional" => node.Input(0) is { } value ? Alias(node, value) : absent.Add(node.Outputs[0]),
            "OptionalGetElement" => node.Input(0) is { } value && (known.TryGetValue(value, out var inner) ? Note(node, inner) : aliases.TryGetValue(value, out string? element) ? Copy(node, element) : IsTensor(value) && Copy(node, value)),
            "OptionalHasElement" => HasElement(node) is { } has && Copy(node, Constant(node, has)),
            _ => false,
        };
    }

    /// <summary>True for a sequence or optional value whose elements are known.</summary>
    public bool Has(string value) => known.ContainsKey(value) || aliases.ContainsKey(value) || absent.Contains(value);

    private Sequence? Of(Node node) => node.Input(0) is { } name ? known.GetValueOrDefault(name) : null;

    private bool Note(Node node, Sequence? sequence)
    {
        if (sequence is null || node.Output(0) is not { } output) return false;
        known[output] = sequence;
        return true;
    }

    private bool Alias(Node node, string value)
    {
        if (known.TryGetValue(value, out var sequence)) known[node.Outputs[0]] = sequence;
        else aliases[node.Outputs[0]] = value;
        return true;
    }

    private bool? HasElement(Node node) => node.Input(0) is not { } value || absent.Contains(value) ? false : aliases.ContainsKey(value) || known.ContainsKey(value) || IsTensor(value) ? true : null;

    /// <summary>An optional value that a graph gets as input may be absent; every other value of known type is there.</summary>
    private bool IsTensor(string value) => !graph.Inputs.Exists(i => i.Name == value) && graph.TypeOf(value).Element != ElementType.Undefined;

    /// <summary>A position among <paramref name="count"/> given as input <paramref name="index"/>, counted from the front; <paramref name="otherwise"/> where it is not given.</summary>
    private int? Place(Node node, int index, int? count, int? otherwise)
    {
        if (node.Input(index) is not { } name) return otherwise;
        if (numbers.Of(name) is not [var at]) return null;
        return at >= 0 ? (int)at : count is { } n ? (int)at + n : null;
    }

    private static ImmutableList<string> All(Sequence s) => [.. Enumerable.Range(0, s.Count!.Value).Select(i => s.At(i)!)];

    private bool Copy(Node node, string element)
    {
        take([new Node("Identity", "", [element], [node.Outputs[0]], node.Name)]);
        return true;
    }

    private string Constant<T>(Node node, T value) where T : unmanaged => Scoped(node, () => graph.Constant([value], []).Name);

    private string Longs(Node node, params long[] values) => Scoped(node, () => graph.Longs(values).Name);

    private string Scoped(Node node, Func<string> make)
    {
        string? outer = graph.Scope;
        graph.Scope = node.Outputs[0];
        string name = make();
        graph.Scope = outer;
        return name;
    }

    private bool Join(Node node, IReadOnlyList<string> parts)
    {
        long axis = node.Int("axis");
        take(node.Int("new_axis") != 0 ? Stacked.Nodes(graph, parts, axis, node.Outputs[0]) : [new Node("Concat", "", parts, [node.Outputs[0]], node.Name).With("axis", axis)]);
        return true;
    }

    private bool Map(Node node, int count)
    {
        if (node.Attributes.GetValueOrDefault("body")?.G is not { } body || count > Unfolding.MaxSteps || (long)count * body.Node.Count > Unfolding.MaxNodes || body.Input.Count != node.Inputs.Count || body.Output.Count < node.Outputs.Count) return false;
        Sequence?[] given = [.. node.Inputs.Select(i => known.GetValueOrDefault(i))];
        if (given.Any(s => s is not null && s.Count != count)) return false;
        var results = new string[count][];
        for (int step = 0; step < count; step++)
        {
            var inputs = new Dictionary<string, string>();
            for (int i = 0; i < given.Length; i++) inputs[body.Input[i].Name] = given[i]?.At(step) ?? node.Inputs[i];
            var (nodes, outputs) = Subgraph.Inline(graph, node, body, inputs);
            take(nodes);
            results[step] = outputs;
        }
        for (int k = 0; k < node.Outputs.Count; k++) known[node.Outputs[k]] = new Listed([.. results.Select(r => r[k])]);
        return true;
    }

    /// <summary>The parts of a split: all of them where the sizes are known, else parts of one size that are cut out as they are asked for.</summary>
    private Sequence? SplitOf(Node node)
    {
        string x = node.Inputs[0];
        if (graph.TypeOf(x).Shape is not { } shape) return null;
        long axis = node.Int("axis") is < 0 and var back ? back + shape.Rank : node.Int("axis");
        bool single = node.Input(1) is null, drop = single && node.Int("keepdims", 1) == 0;
        double[]? sizes = single ? [1] : numbers.Of(node.Inputs[1]);
        if (sizes is null || axis < 0 || axis >= shape.Rank) return null;
        bool listed = !single && graph.TypeOf(node.Inputs[1]).Rank == 1;
        if (!listed && sizes is not [>= 1]) return null;
        if (!listed && shape[(int)axis].Value is not { }) return new Chunks(i => Cut(node, x, axis, i * (long)sizes[0], (i + 1) * (long)sizes[0], drop));
        long length = listed ? 0 : shape[(int)axis].Value!.Value, size = (long)sizes[0];
        long[] parts = listed ? [.. sizes.Select(s => (long)s)] : [.. Enumerable.Range(0, (int)((length + size - 1) / size)).Select(i => Math.Min(size, length - i * size))];
        if (parts.Length is 0 or > Unfolding.MaxSteps) return null;
        if (parts.Length == 1 && !drop) return new Listed([x]);
        string[] names = [.. parts.Select((_, i) => graph.NewName($"{node.Outputs[0]}/{i}"))];
        string[] cut = drop ? [.. names.Select(n => graph.NewName($"{n}/part"))] : names;
        take([new Node("Split", "", [x, Longs(node, parts)], cut, $"{node.Outputs[0]}/Split").With("axis", axis)]);
        if (drop) take(cut.Select((c, i) => new Node("Squeeze", "", [c, Longs(node, axis)], [names[i]], names[i])).ToArray());
        return new Listed([.. names]);
    }

    private string Cut(Node node, string x, long axis, long start, long end, bool drop)
    {
        string part = graph.NewName($"{node.Outputs[0]}/from {start}"), result = drop ? graph.NewName($"{part}/part") : part;
        take([new Node("Slice", "", [x, Longs(node, start), Longs(node, end), Longs(node, axis)], [part], part)]);
        if (drop) take([new Node("Squeeze", "", [part, Longs(node, axis)], [result], result)]);
        return result;
    }

    /// <summary>A sequence by the names of its elements; its length may be known to the run only.</summary>
    private abstract record Sequence(int? Count)
    {
        public abstract string? At(int index);
    }

    private sealed record Listed(ImmutableList<string> Elements) : Sequence(Elements.Count)
    {
        public override string? At(int index) => index >= 0 && index < Elements.Count ? Elements[index] : null;
    }

    private sealed record Chunks(Func<int, string> Cut) : Sequence((int?)null)
    {
        private readonly Dictionary<int, string> made = [];

        public override string? At(int index) => index < 0 ? null : made.TryGetValue(index, out string? name) ? name : made[index] = Cut(index);
    }
}
