using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions;

/// <summary>The forward pass with the loss, without gradients: a folder's eval model over given weights. Not thread-safe.</summary>
public sealed unsafe class EvaluationSession : IDisposable
{
    private readonly BoundSession session;
    private readonly BatchCheck check;
    private readonly IReadOnlySet<string> used;
    private readonly IReadOnlyList<GraphValue> inputs;
    private readonly string[] outputs;
    private readonly string loss, what;
    private readonly List<object> bound = []; // keeps the memory behind the bindings

    private EvaluationSession(ArtifactFolder folder, IDevice device, IReadOnlyList<SessionWeight> weights, IReadOnlyCollection<string> outputs)
    {
        ModelProto eval = folder.EvalModel ?? throw new LiftException($"'{folder.Directory}' holds no {ArtifactNames.EvalModel}; prepare the model again.");
        loss = folder.Record.LossOutput;
        what = $"eval model of '{folder.Directory}'";
        this.outputs = [.. outputs.Prepend(loss).Distinct()];
        var model = new CompactModel(eval, this.outputs, new Dictionary<string, GradientForm>());
        used = model.Inputs;
        inputs = [.. TrainingInputs.Of(eval, folder.Checkpoint).User];
        check = new BatchCheck(inputs, folder.Record);
        session = new BoundSession(model.Model, device, what);
        var own = weights.ToDictionary(w => w.Name);
        foreach (ValueInfoProto input in model.Model.Graph.Input)
        {
            if (own.TryGetValue(input.Name, out SessionWeight? weight))
            {
                bound.Add(weight);
                session.Input(weight.Name, weight.Memory.Pointer, weight.Memory.Length, weight.Type, weight.Dims);
            }
            else if (folder.Parameters.TryGetValue(input.Name, out Tensor? tensor))
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
    public static EvaluationSession Open(ArtifactFolder folder, IDevice device, IReadOnlyList<SessionWeight>? weights = null, IReadOnlyCollection<string>? outputs = null) =>
        new(folder, device, weights ?? [], outputs ?? []);

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

    /// <summary>The weighted mean of the batches' losses; weights such as label counts make it the loss of one large batch.</summary>
    public double MeanLoss(IEnumerable<(IReadOnlyDictionary<string, Tensor> Batch, double Weight)> batches)
    {
        double total = 0, weight = 0;
        foreach (var (batch, share) in batches)
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
