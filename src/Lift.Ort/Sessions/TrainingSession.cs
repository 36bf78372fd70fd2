using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions.Fusions;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Sessions;

/// <summary>
/// Forward and backward pass of an artifact folder in a stock ONNX Runtime. Weights are inputs bound to memory of ours; the chosen entries of all
/// gradients come out in one contiguous float32 vector. <see cref="SetMasks"/> says which entries; <see cref="Step(IReadOnlyDictionary{string, Tensor})"/> computes.
/// Not thread-safe.
/// </summary>
public sealed class TrainingSession : IDisposable
{
    private readonly ArtifactFolder folder;
    private readonly IDevice device;
    private readonly Tensor seed = Tensor.Scalar(TrainingGraph.Seed, 1f);
    private readonly TrainingSessionOptions options;
    private readonly BatchCheck check;
    private readonly Dictionary<string, DeviceBuffer<byte>> frozen = [];
    private readonly GraphValue lossOutput;
    private readonly string what;
    private readonly MemoryAdvice memory;
    private readonly RunningStatistics? statistics;
    private readonly string[] read; // outputs that come to the host after each run
    private readonly RecordedRuns runs;
    private readonly DeviceBuffer<float> loss; // of a run
    private DeviceBuffer<float> losses; // one per micro-batch
    private Dictionary<string, GradientForm>? forms;
    private List<GradientSlice>? slices;
    private CompactModel? model;
    private BoundSession? session;
    private DeviceBuffer<float>? gradients, term, bound; // term: one batch's gradients where several are summed; bound: the one that the session writes

    private TrainingSession(ArtifactFolder folder, IDevice device, TrainingSessionOptions options)
    {
        (this.folder, this.device, this.options, what) = (folder, device, options, $"training model of '{folder.Directory}'");
        TrainingInputs inputs = TrainingInputs.Of(folder.TrainingModel, folder.Checkpoint);
        Inputs = inputs.User;
        check = new BatchCheck(inputs.User, folder.Record);
        foreach (string name in options.Trained ?? [])
        {
            if (folder.Record.Weights.All(w => w.Name != name))
                throw new LiftException($"'{folder.Directory}' cannot train '{name}'; its trainable weights are: {string.Join(", ", folder.Record.Weights.Select(w => w.Name))}.");
        }
        Weights = [.. folder.Record.Weights.Where(w => options.Trained?.Contains(w.Name) ?? true).Select(w => new SessionWeight(w, folder.Parameters[w.Name], device))];
        statistics = RunningStatistics.Of(folder, device);
        read = [.. options.Outputs.Except(Renewed.Append(folder.Record.LossOutput))];
        lossOutput = folder.TrainingModel.Graph.Output.Select(TrainingInputs.Value).First(o => o.Name == folder.Record.LossOutput);
        (loss, losses, runs) = (device.Allocate<float>(1), device.Allocate<float>(1), new RecordedRuns(device));
        memory = new MemoryAdvice(device);
        ScalesLoss = (options.ScaleLoss ?? (device.Computes16Bit && GradientPrecision.PassesFloat16(folder.TrainingModel, Weights.Select(w => w.Name))))
            && folder.TrainingModel.Graph.Initializer.Any(t => t.Name == TrainingGraph.Seed);
    }

    /// <summary>True where gradients pass through float16, so that <see cref="LossScale"/> keeps small ones from vanishing.</summary>
    public bool ScalesLoss { get; }

    /// <summary>The loss is multiplied by this before the backward pass, and the gradients are divided by it after; 1 by default. Gradients that overflow come out infinite or NaN.</summary>
    public double LossScale { get; set; } = 1;

    /// <summary>The trainable weights, in the model's order; their memory may be changed between steps.</summary>
    public IReadOnlyList<SessionWeight> Weights { get; }

    /// <summary>Running statistics of batch normalisation; each batch that goes through the model renews them.</summary>
    public IReadOnlyList<SessionWeight> Statistics => statistics?.Weights ?? [];

    /// <summary>The memory behind <see cref="Statistics"/>; null where there are none.</summary>
    internal RunningStatistics? Running => statistics;

    /// <summary>The user inputs that a batch must give, <c>labels</c> among them.</summary>
    public IReadOnlyList<GraphValue> Inputs { get; }

    /// <summary>The parts of <see cref="Gradients"/>, in the order of <see cref="Weights"/>; weights that are not trained have none.</summary>
    public IReadOnlyList<GradientSlice> Slices => slices ?? TrainWhole();

    /// <summary>All chosen gradient entries, contiguous; written by each step, in the same memory until <see cref="SetMasks"/>.</summary>
    public DeviceBuffer<float> Gradients
    {
        get
        {
            _ = slices ?? TrainWhole();
            return gradients!;
        }
    }

    /// <summary>Whether runs are recorded and replayed, and why not.</summary>
    public Recording Recording => runs.State;

    /// <summary>Records no runs, whatever the device would; to be said before the first step.</summary>
    /// <param name="why">As <see cref="Recording"/> will say it.</param>
    internal void WithoutRecording(string why) => runs.Forbid(why);

    /// <summary>Nodes that run twice because of <see cref="TrainingSessionOptions.Recompute"/>.</summary>
    public int Repeated { get; private set; }

    /// <summary>What <see cref="TrainingSessionOptions.Outputs"/> asked for, from the last step.</summary>
    public IReadOnlyDictionary<string, Tensor> LastOutputs { get; private set; } = new Dictionary<string, Tensor>();

    /// <summary>Opens a folder's training model on a device; at first every weight is trained whole.</summary>
    /// <exception cref="LiftException">The folder or a name in the options is wrong, or ONNX Runtime refuses the model.</exception>
    public static TrainingSession Open(ArtifactFolder folder, IDevice device, TrainingSessionOptions? options = null) => new(folder, device, options ?? new());

    /// <summary>Says which entries are trained. Weights that are absent, or have no positions, are frozen; null trains the whole weight.</summary>
    /// <param name="masks">Sorted positions by weight, row-major over the weight as stored.</param>
    /// <exception cref="LiftException">A name is no trainable weight, or positions are unsorted or outside the weight.</exception>
    public void SetMasks(IReadOnlyDictionary<string, int[]?> masks)
    {
        foreach (string name in masks.Keys)
        {
            if (Weights.All(w => w.Name != name)) throw new LiftException($"There is no trainable weight '{name}'; trainable weights are: {string.Join(", ", Weights.Select(w => w.Name))}.");
        }
        string?[] wrong = [.. Weights.AsParallel().AsOrdered().Select(w => masks.GetValueOrDefault(w.Name) is { } positions ? WrongPosition(w, positions) : null)];
        if (Array.Find(wrong, w => w is not null) is { } first) throw new LiftException(first);
        var parts = new List<GradientSlice>();
        long length = 0;
        foreach (SessionWeight weight in Weights)
        {
            if (!masks.TryGetValue(weight.Name, out int[]? positions) || positions is { Length: 0 }) continue;
            bool whole = positions is null || positions.Length == weight.Count;
            parts.Add(new(weight, length, whole ? weight.Count : positions!.Length, whole ? null : Place(weight, positions!)));
            length += parts[^1].Count;
        }
        foreach (GradientSlice old in slices ?? [])
        {
            if (parts.All(p => p.Positions != old.Positions)) old.Positions?.Dispose();
        }
        slices = parts;
        if (gradients?.Length != length)
        {
            gradients?.Dispose();
            term?.Dispose();
            (gradients, term) = (device.Allocate<float>(length), null);
        }
        Rebuild(parts.ToDictionary(s => s.Weight.Name, s => s.Positions is null ? GradientForm.Whole : GradientForm.Chosen));
        bound = null;
    }

    /// <summary>Forward and backward pass of one batch: <see cref="Gradients"/> holds the gradient of the returned loss.</summary>
    /// <param name="batch">Values by input name; shapes may change from step to step.</param>
    /// <exception cref="LiftException">The batch does not fit the model.</exception>
    /// <exception cref="DeviceMemoryException">The device has no room for the batch; the message says what would fit.</exception>
    public float Step(IReadOnlyDictionary<string, Tensor> batch) => Step([(batch, 1)]);

    /// <summary>Queues one batch; its loss will lie in <c>losses[index]</c>.</summary>
    private void Queue(IReadOnlyDictionary<string, Tensor> batch, DeviceBuffer<float> into, int index)
    {
        check.Check(batch);
        Bind(into);
        var inputs = Inputs.Where(i => model!.Inputs.Contains(i.Name)).Select(i => (i.Name, batch[i.Name])).ToList();
        if (ScalesLoss)
        {
            seed.AsSpan<float>()[0] = (float)LossScale;
            inputs.Add((seed.Name, seed));
        }
        runs.Bind(session!, inputs);
        foreach (string output in read) session!.Output(output);
        try
        {
            memory.Watch(batch, () => runs.Run(session!, what, wait: read.Length > 0));
        }
        catch (RecordingException e)
        {
            runs.Forbid($"recording failed: {e.Message}");
            Open();
            Queue(batch, into, index);
            return;
        }
        device.Copy(loss.Pointer, losses.Pointer + index * sizeof(float), sizeof(float));
        if (ScalesLoss && LossScale != 1) device.Run(new WeightedSum(into, into, (float)(1 / LossScale), First: true));
        statistics?.Renew();
        Dictionary<string, Tensor> values = session!.Allocated(read);
        foreach (string output in options.Outputs.Except(read)) values[output] = statistics?.Given(output) ?? loss.ToHost(output).Copy().Reshape(LossDims);
        LastOutputs = values;
        GC.KeepAlive(batch);
    }

    /// <summary>Sets the running statistics back to what they were before the last step: for a batch that was only looked at, and for a step that failed.</summary>
    public void RevertStatistics() => statistics?.Revert();

    private long[] LossDims => [.. (lossOutput.Type.Shape?.Dims ?? []).Select(d => d.Value ?? 1)];

    /// <summary>Outputs that renew running statistics.</summary>
    private IEnumerable<string> Renewed => (folder.Record.Statistics ?? []).Select(s => s.Updated);

    /// <summary>The losses of the micro-batches that were queued; waits for them.</summary>
    private float[] Losses(int count)
    {
        float[] values = new float[count];
        losses.CopyTo(values);
        return values;
    }

    /// <summary>Forward and backward pass of one batch; see <see cref="Step(IReadOnlyDictionary{string, Tensor})"/>.</summary>
    public float Step(Batch batch) => Step(batch.Values);

    /// <summary>Gradient accumulation over batches that count by their labels, so that the result is that of one large batch.</summary>
    public float Step(IReadOnlyList<Batch> batches) => Step([.. batches.Select(b => (b.Values, (double)b.LabelTokens))]);

    /// <summary>
    /// Gradient accumulation: the weighted mean of the batches' gradients ends in <see cref="Gradients"/>, that of their losses is returned.
    /// Weights such as the batches' label counts make it the gradient of one large batch.
    /// </summary>
    /// <param name="batches">Batches with their weights, which need not sum to 1.</param>
    public float Step(IReadOnlyList<(IReadOnlyDictionary<string, Tensor> Batch, double Weight)> batches)
    {
        double[] shares = Queue(batches);
        return (float)Losses(batches.Count).Zip(shares, (loss, share) => share * loss).Sum();
    }

    /// <summary>The losses of the micro-batches that were queued last, on the device; <see cref="Queue(IReadOnlyList{ValueTuple{IReadOnlyDictionary{string, Tensor}, double}})"/> says with what shares they count.</summary>
    internal DeviceBuffer<float> MicroLosses => losses;

    /// <summary>The same as <see cref="Step(IReadOnlyList{ValueTuple{IReadOnlyDictionary{string, Tensor}, double}})"/> without waiting for the device; answers the micro-batches' shares.</summary>
    internal double[] Queue(IReadOnlyList<(IReadOnlyDictionary<string, Tensor> Batch, double Weight)> batches)
    {
        double total = batches.Sum(b => b.Weight);
        if (batches.Count == 0 || !(total > 0)) throw new ArgumentException("A step needs at least one batch of positive weight", nameof(batches));
        statistics?.Keep();
        try
        {
            return QueueAll(batches, total);
        }
        catch when (statistics is not null)
        {
            RevertAfterFailure();
            throw;
        }
    }

    private double[] QueueAll(IReadOnlyList<(IReadOnlyDictionary<string, Tensor> Batch, double Weight)> batches, double total)
    {
        if (batches.Count == 1)
        {
            Queue(batches[0].Batch, Gradients, 0);
            return [1];
        }
        term ??= device.Allocate<float>(Gradients.Length);
        if (losses.Length < batches.Count)
        {
            losses.Dispose();
            losses = device.Allocate<float>(batches.Count);
        }
        double[] shares = [.. batches.Select(b => b.Weight / total)];
        for (int i = 0; i < batches.Count; i++)
        {
            Queue(batches[i].Batch, term, i);
            device.Run(new WeightedSum(Gradients, term, (float)shares[i], First: i == 0));
        }
        return shares;
    }

    /// <summary>Some of the step's batches may have renewed the statistics. Where the device itself has failed, the first failure is the one to tell.</summary>
    private void RevertAfterFailure()
    {
        try
        {
            RevertStatistics();
        }
        catch (LiftException) { }
    }

    /// <summary>Ends ONNX Runtime's profiling, which <see cref="TrainingSessionOptions.Configure"/> began; answers the file of the run's nodes in order.</summary>
    internal string EndProfiling() => session!.EndProfiling();

    /// <summary>What holds until the first masks are set; not done on opening, as it takes a whole gradient of every weight.</summary>
    private List<GradientSlice> TrainWhole()
    {
        SetMasks(Weights.ToDictionary(w => w.Name, _ => (int[]?)null));
        return slices!;
    }

    /// <summary>Positions on the device: where others have them too, or, for recorded runs, where this weight's lay before.</summary>
    private DeviceBuffer<int> Place(SessionWeight weight, int[] positions)
    {
        DeviceBuffer<int> shared = device.Share(positions);
        if (!runs.KeepsAddresses) return shared;
        DeviceBuffer<int>? before = slices?.Find(s => s.Weight == weight)?.Positions;
        DeviceBuffer<int> own = before?.Length == positions.Length ? before : device.Allocate<int>(positions.Length);
        device.Copy(shared.Pointer, own.Pointer, positions.Length * (long)sizeof(int));
        shared.Dispose();
        return own;
    }

    private static string? WrongPosition(SessionWeight weight, int[] positions)
    {
        long count = weight.Count;
        int before = -1;
        for (int i = 0; i < positions.Length; before = positions[i++])
        {
            if (positions[i] <= before || positions[i] >= count)
                return $"Position {positions[i]} (entry {i}) in the mask of '{weight.Name}' is wrong: positions ascend from 0 to {count - 1}.";
        }
        return null;
    }

    /// <summary>Makes the session anew where another set of gradients comes out of it; new positions alone need none.</summary>
    private void Rebuild(Dictionary<string, GradientForm> wanted)
    {
        if (forms is not null && forms.Count == wanted.Count && forms.All(f => wanted.TryGetValue(f.Key, out GradientForm form) && form == f.Value)) return;
        session?.Dispose(); // first, so that two models never lie side by side
        (session, forms) = (null, null);
        model = new CompactModel(folder.TrainingModel, options.Outputs.Prepend(folder.Record.LossOutput).Concat(Renewed).Distinct(), wanted, ScalesLoss);
        if (options.TrainingOperators) GraphPruning.LeaveOutUnread(model.Model);
        if (options.TrainingOperators && options.Fusions) Fusion.Apply(model.Model, device, options.FusionsLeftOut, folder.Parameters.Values.Where(p => !wanted.ContainsKey(p.Name) && Weights.All(w => w.Name != p.Name)));
        Repeated = Recomputation.Apply(model.Model, options.Recompute, folder.Record.LossOutput, folder.Record.Weights, folder.Parameters.Keys);
        Open();
        forms = wanted;
    }

    /// <summary>Opens <see cref="model"/>, and binds what stays where it is.</summary>
    private void Open()
    {
        session?.Dispose();
        (session, bound) = (null, null);
        var user = Inputs.Select(i => i.Name).Append(seed.Name).Where(model!.Inputs.Contains);
        session = runs.Open(model.Model, user, read, records => new BoundSession(model.Model, device, what, options.TrainingOperators, Configure, records));
        statistics?.Bind(session);
        session.Output(lossOutput.Name, loss.Pointer, sizeof(float), ElementType.Float, LossDims);
        var own = Weights.Concat(Statistics).ToDictionary(w => w.Name);
        foreach (ValueInfoProto input in model.Model.Graph.Input)
        {
            if (own.TryGetValue(input.Name, out SessionWeight? weight)) session.Input(weight.Name, weight.Memory.Pointer, weight.Memory.Length, weight.Type, weight.Dims);
            else if (folder.Parameters.TryGetValue(input.Name, out Tensor? tensor))
            {
                if (!frozen.TryGetValue(tensor.Name, out DeviceBuffer<byte>? buffer)) frozen[tensor.Name] = buffer = device.Share(tensor);
                session.Input(tensor.Name, buffer.Pointer, tensor.ByteLength, tensor.Type, tensor.Dims);
            }
        }
    }

    private void Configure(SessionOptions session)
    {
        if (Repeated > 0) session.AddSessionConfigEntry(Widening.LeavesEqualNodesApart.Name, Widening.LeavesEqualNodesApart.Value);
        options.Configure?.Invoke(session);
    }

    private void Bind(DeviceBuffer<float> into)
    {
        if (ReferenceEquals(bound, into)) return;
        bound = into;
        foreach (GradientSlice slice in Slices)
        {
            string name = slice.Weight.Name;
            long[] dims = slice.Positions is null ? slice.Weight.Dims : [slice.Count];
            session!.Output(model!.GradientOutputs[name], into.Pointer + (nint)(slice.Offset * sizeof(float)), slice.Count * sizeof(float), ElementType.Float, dims);
            if (slice.Positions is { } positions) session.Input(CompactModel.Positions(name), positions.Pointer, slice.Count * sizeof(int), ElementType.Int32, dims);
        }
    }

    public void Dispose()
    {
        session?.Dispose();
        gradients?.Dispose();
        term?.Dispose();
        losses.Dispose();
        loss.Dispose();
        runs.Dispose();
        foreach (GradientSlice slice in slices ?? []) slice.Positions?.Dispose();
        foreach (SessionWeight weight in Weights) weight.Dispose();
        statistics?.Dispose();
        foreach (DeviceBuffer<byte> buffer in frozen.Values) buffer.Dispose();
    }
}
