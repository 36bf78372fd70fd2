using Google.Protobuf;
using Lift.Ort.Artifacts;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions;

/// <summary>How a weight takes part in a session: its gradient's chosen entries, or all of them.</summary>
internal enum GradientForm { Chosen, Whole }

/// <summary>
/// The training model as a session runs it, made in memory from the file's: no accumulators, buffers or dense gradient outputs; only what the
/// loss, the wanted outputs and the gradients of the trained weights need; and per weight the chosen entries of its gradient.
/// </summary>
internal sealed class CompactModel
{
    private const string Prefix = "lift/"; // keeps our names apart from the model's
    private const string Flat = Prefix + "flat";
    private readonly GraphProto graph;
    private readonly Dictionary<string, NodeProto> producers = [];
    private readonly Dictionary<NodeProto, List<NodeProto>> behind = new(ReferenceEqualityComparer.Instance); // nodes to be put right behind another
    private readonly List<NodeProto> first = [];
    private readonly HashSet<string> taken = []; // outputs of the graph
    private readonly HashSet<string> narrow; // inputs of 16 bits
    private bool hasFlat;

    /// <summary>Where a weight's gradient comes out: the chosen entries [k], or the whole gradient in the weight's own dimensions.</summary>
    public IReadOnlyDictionary<string, string> GradientOutputs { get; }

    /// <summary>The names of all inputs that are left.</summary>
    public IReadOnlySet<string> Inputs { get; }

    public ModelProto Model { get; }

    public CompactModel(ModelProto training, IEnumerable<string> outputs, IReadOnlyDictionary<string, GradientForm> trained, bool scaled = false)
    {
        Model = training.Clone();
        graph = Model.Graph;
        narrow = [.. graph.Input.Where(i => (ElementType?)i.Type?.TensorType?.ElemType is ElementType.Float16 or ElementType.BFloat16).Select(i => i.Name)];
        Dictionary<string, string> gradients = TakeAccumulators();
        foreach (NodeProto node in graph.Node)
            foreach (string output in node.Output) producers[output] = node;
        List<ValueInfoProto> declared = [.. graph.Output];
        graph.Output.Clear();
        foreach (string output in outputs)
            graph.Output.Add(declared.FirstOrDefault(o => o.Name == output) ?? throw new LiftException($"The training model has no output '{output}'; its outputs are: {string.Join(", ", declared.Select(o => o.Name))}."));

        taken.UnionWith(graph.Output.Select(o => o.Name));
        var compact = new Dictionary<string, string>();
        foreach (var (weight, form) in trained)
        {
            if (!gradients.TryGetValue(weight, out string? gradient))
                throw new LiftException($"The training model computes no gradient for '{weight}'; weights with one are: {string.Join(", ", gradients.Keys)}.");
            compact[weight] = form == GradientForm.Chosen ? Choose(weight, gradient) : Whole(weight, gradient);
        }
        GradientOutputs = compact;
        Insert();
        GraphPruning.KeepOnlyNeeded(Model);
        if (scaled) FreeSeed();
        Inputs = graph.Input.Select(i => i.Name).ToHashSet();
    }

    /// <summary>The input that takes a weight's chosen positions, int32 [k].</summary>
    public static string Positions(string weight) => $"{Prefix}positions/{weight}";

    /// <summary>Removes the accumulators and answers which value is each parameter's gradient.</summary>
    private Dictionary<string, string> TakeAccumulators()
    {
        var gradients = new Dictionary<string, string>();
        NodeProto[] rest = [.. graph.Node.Where(n => !ArtifactNames.IsAccumulator(n.OpType))];
        foreach (NodeProto node in graph.Node.Where(n => ArtifactNames.IsAccumulator(n.OpType)))
        {
            if (ArtifactNames.ParameterOfBuffer(node.Input[0]) is { } parameter) gradients[parameter] = node.Input[1];
        }
        graph.Node.Clear();
        graph.Node.AddRange(rest);
        return gradients;
    }

    /// <summary>
    /// Gather(Reshape(gradient, [-1]), positions), put right behind the node that makes the gradient: the dense gradient dies there, so that no
    /// two layers' dense gradients live at once.
    /// </summary>
    private string Choose(string weight, string gradient)
    {
        if (!hasFlat) graph.Initializer.Add(new TensorProto { Name = Flat, DataType = (int)ElementType.Int64, Dims = { 1 }, RawData = ByteString.CopyFrom(BitConverter.GetBytes(-1L)) });
        hasFlat = true;
        string flat = $"{Prefix}flat/{weight}", chosen = $"{Prefix}chosen/{weight}";
        string picked = IsNarrow(weight) ? $"{chosen}/narrow" : chosen;
        Behind(gradient, new NodeProto { OpType = "Reshape", Name = flat, Input = { gradient, Flat }, Output = { flat } });
        Behind(gradient, new NodeProto { OpType = "Gather", Name = picked, Input = { flat, Positions(weight) }, Output = { picked } });
        if (IsNarrow(weight)) Behind(gradient, ToFloat(picked, chosen));
        graph.Input.Add(Declare(Positions(weight), ElementType.Int32, $"k/{weight}"));
        graph.Output.Add(Declare(chosen, ElementType.Float, $"k/{weight}"));
        return chosen;
    }

    /// <summary>The dense gradient itself as an output, in float32; two weights with one gradient value get one copy each.</summary>
    private string Whole(string weight, string gradient)
    {
        bool isTaken = !taken.Add(gradient), isNarrow = IsNarrow(weight);
        string name = isTaken || isNarrow ? $"{Prefix}whole/{weight}" : gradient;
        if (isNarrow) Behind(gradient, ToFloat(gradient, name));
        else if (isTaken) Behind(gradient, new NodeProto { OpType = "Identity", Name = name, Input = { gradient }, Output = { name } });
        graph.Output.Add(Declare(name, ElementType.Float));
        return name;
    }

    /// <summary>True for a 16-bit weight: its gradient is 16-bit too, and becomes float32 where it leaves the graph.</summary>
    private bool IsNarrow(string weight) => narrow.Contains(weight);

    private static NodeProto ToFloat(string from, string to) => new()
    {
        OpType = "Cast",
        Name = to,
        Input = { from },
        Output = { to },
        Attribute = { new AttributeProto { Name = "to", Type = AttributeProto.Types.AttributeType.Int, I = (long)ElementType.Float } },
    };

    /// <summary>Notes a node that is to run right behind the one that makes <paramref name="value"/>: first of all where that is an input or a constant.</summary>
    private void Behind(string value, NodeProto node)
    {
        if (!producers.TryGetValue(value, out NodeProto? producer)) first.Add(node);
        else if (behind.TryGetValue(producer, out var others)) others.Add(node);
        else behind[producer] = [node];
    }

    /// <summary>What the backward pass begins with becomes an input, so that each step can scale the loss anew.</summary>
    private void FreeSeed()
    {
        if (graph.Initializer.FirstOrDefault(t => t.Name == TrainingGraph.Seed) is not { } seed) return;
        graph.Initializer.Remove(seed);
        ValueInfoProto input = Declare(seed.Name, ElementType.Float);
        input.Type.TensorType.Shape = new();
        graph.Input.Add(input);
    }

    private void Insert()
    {
        NodeProto[] all = [.. first, .. graph.Node.SelectMany(n => (behind.GetValueOrDefault(n) ?? []).Prepend(n))];
        graph.Node.Clear();
        graph.Node.AddRange(all);
    }

    private static ValueInfoProto Declare(string name, ElementType type, params ReadOnlySpan<string> dims)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)type };
        if (dims.Length > 0) tensor.Shape = new();
        foreach (string dim in dims) tensor.Shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = dim });
        return new ValueInfoProto { Name = name, Type = new() { TensorType = tensor } };
    }
}
