using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Writing;
using Lift.Ort.Sessions.Fusions;

namespace Lift.Ort.Sessions;

/// <summary>The forward pass with the loss, without gradients: a folder's eval model, or any model with a loss added. Not thread-safe.</summary>
public sealed unsafe class EvaluationSession : IDisposable
{
    private readonly BoundSession session;
    private readonly BatchCheck check;
    private readonly IReadOnlySet<string> used;
    private readonly IReadOnlyList<GraphValue> inputs;
    private readonly string[] outputs;
    private readonly string loss, what;
    private readonly List<object> bound = []; // keeps the memory behind the bindings

    private EvaluationSession(
        ModelProto eval, ArtifactRecord record, IReadOnlyDictionary<string, Tensor> parameters, IDevice device, string what,
        IReadOnlyList<SessionWeight> weights, IReadOnlyCollection<string> outputs)
    {
        (loss, this.what) = (record.LossOutput, what);
        this.outputs = [.. outputs.Prepend(loss).Distinct()];
        var model = new CompactModel(eval, this.outputs, new Dictionary<string, GradientForm>());
        Fusion.Apply(model.Model, device, frozen: parameters.Values.Where(p => weights.All(w => w.Name != p.Name)));
        used = model.Inputs;
        inputs = [.. eval.Graph.Input.Select(TrainingInputs.Value).Where(v => !parameters.ContainsKey(v.Name))];
        check = new BatchCheck(inputs, record);
        session = new BoundSession(model.Model, device, what);
        var own = weights.ToDictionary(w => w.Name);
        foreach (ValueInfoProto input in model.Model.Graph.Input)
        {
            if (own.TryGetValue(input.Name, out SessionWeight? weight))
            {
                bound.Add(weight);
                session.Input(weight.Name, weight.Memory.Pointer, weight.Memory.Length, weight.Type, weight.Dims);
            }
            else if (parameters.TryGetValue(input.Name, out Tensor? tensor))
            {
                DeviceBuffer<byte> buffer = device.Share(tensor);
                bound.AddRange(tensor, buffer);
                session.Input(tensor.Name, buffer.Pointer, tensor.ByteLength, tensor.Type, tensor.Dims);
            }
        }
    }

    /// <summary>Opens a folder's eval model.</summary>
    /// <param name="weights">Weights of a training session to evaluate with, as they are at each run; null takes the folder's own.</param>
    /// <param name="outputs">Outputs to read beside the loss, for example the logits.</param>
    /// <exception cref="LiftException">The folder has no eval model, or no such output.</exception>
    public static EvaluationSession Open(ArtifactFolder folder, IDevice device, IReadOnlyList<SessionWeight>? weights = null, IReadOnlyCollection<string>? outputs = null)
    {
        ModelProto eval = folder.EvalModel ?? throw new LiftException($"'{folder.Directory}' holds no {ArtifactNames.EvalModel}; prepare the model again.");
        return new(eval, folder.Record, folder.Parameters, device, $"eval model of '{folder.Directory}'", weights ?? [], outputs ?? []) { Terms = folder.Record.AllTerms };
    }

    /// <summary>Opens any model with a loss added; its weights stay where the file is mapped.</summary>
    /// <param name="model">The model as read from its file.</param>
    /// <param name="loss">Which loss, over which output; patterns of weights are not read.</param>
    /// <param name="outputs">Outputs to read beside the loss, for example the logits.</param>
    /// <exception cref="LiftException">The output does not exist or does not fit the loss.</exception>
    public static EvaluationSession Open(Graph model, TrainingGraphOptions loss, IDevice device, IReadOnlyCollection<string>? outputs = null)
    {
        var (forward, lossName, terms) = TrainingGraph.WithLoss(model, loss);
        var parameters = forward.Initializers.Values.Where(ArtifactWriter.IsParameter).ToDictionary(t => t.Name);
        var record = new ArtifactRecord { Loss = terms[0].Loss, LossOutput = lossName, Terms = terms };
        return new(GraphWriter.ToModel(ArtifactWriter.WithInputs(forward, parameters.Values)), record, parameters, device, $"model with its loss over '{string.Join("', '", terms.SelectMany(t => t.Outputs))}'", [], outputs ?? []) { Terms = terms };
    }

    /// <summary>The losses, as they stand in the graph.</summary>
    public IReadOnlyList<ScoredTerm> Terms { get; private init; } = [];

    /// <summary>The user inputs that a batch must give.</summary>
    public IReadOnlyList<GraphValue> Inputs => inputs;

    /// <summary>The loss of one batch, and the outputs asked for.</summary>
    /// <exception cref="LiftException">The batch does not fit the model.</exception>
    public (float Loss, IReadOnlyDictionary<string, Tensor> Outputs) Run(IReadOnlyDictionary<string, Tensor> batch)
    {
        check.Check(batch);
        foreach (GraphValue input in inputs)
        {
            if (used.Contains(input.Name)) session.Input(input.Name, batch[input.Name]);
        }
        foreach (string output in outputs) session.Output(output);
        session.Run(what);
        Dictionary<string, Tensor> values = session.Allocated(outputs);
        GC.KeepAlive(batch);
        return (values[loss].AsSpan<float>()[0], values);
    }

    /// <summary>The mean loss over all labels of the batches: each batch counts by its labels. NaN where there are none.</summary>
    public double MeanLoss(IEnumerable<Batch> batches) => MeanLoss(batches.Select(b => (b.Values, (double)b.LabelTokens)));

    /// <summary>The weighted mean of the batches' losses; weights such as label counts make it the loss of one large batch.</summary>
    public double MeanLoss(IEnumerable<(IReadOnlyDictionary<string, Tensor> Batch, double Weight)> batches)
    {
        double total = 0, weight = 0;
        foreach (var (batch, share) in batches.Where(b => b.Weight > 0))
        {
            total += share * Run(batch).Loss;
            weight += share;
        }
        return total / weight;
    }

    public void Dispose()
    {
        session.Dispose();
        GC.KeepAlive(bound);
    }
}
