using System.Diagnostics;
using System.Globalization;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;

namespace Lift.Ort.Training;

/// <summary>
/// Fine-tunes the weights of a training session: per step the gradients of some micro-batches are averaged on the compact vector of selected
/// entries, clipped, and given to AdamW; now and then the entries are chosen anew and their moments carried over. Every selection, full
/// fine-tuning included, goes through the same lines. A run that is stopped, saved and resumed gives the same weights, bit for bit, as one
/// never stopped.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly TrainingSession session;
    private readonly IDevice device;
    private readonly IBatchSource data;
    private readonly TrainingOptions options;
    private readonly Schedule schedule;
    private readonly Optimizer optimizer;
    private readonly EntryChoice entries;
    private readonly double[] squares = new double[1];
    private BatchPosition position;
    private readonly LossScaler scaler;
    private int savedStep; // the step of the latest saved state

    /// <param name="session">Its weights are trained; keep it open as long as this object.</param>
    /// <param name="device">The session's device.</param>
    /// <param name="data">Where micro-batches come from; one is read ahead on another thread.</param>
    /// <exception cref="LiftException">Options are out of range; one message names all of them.</exception>
    public Trainer(TrainingSession session, IDevice device, IBatchSource data, TrainingOptions options)
    {
        (this.session, this.device, this.data, this.options) = (session, device, data, options.Check());
        Steps = options.StepsFor(data.BatchesPerEpoch);
        schedule = new Schedule(options.Schedule, options.LearningRate, Steps, Schedule.WarmupSteps(options.Warmup, Steps));
        optimizer = new Optimizer(device, [.. session.Weights.Select(w => w.Value)], options.AdamW);
        scaler = new LossScaler(options.LossScale, session.ScalesLoss);
        entries = new EntryChoice(session, device, optimizer, options);
        position = data.Position;
    }

    /// <summary>The scale of the loss.</summary>
    internal LossScaler Scaler => scaler;

    /// <summary>Optimizer steps of the whole run.</summary>
    public int Steps { get; }

    /// <summary>Optimizer steps done.</summary>
    public int Step => optimizer.Steps;

    /// <summary>Tokens seen, without padding.</summary>
    public long Tokens { get; private set; }

    /// <summary>The entries that are trained now, one mask per weight; empty before the first step.</summary>
    public IReadOnlyList<Mask> Masks => entries.Masks;

    /// <summary>Measures the loss on held-out data, and metrics by name where there are some; or null (the default).</summary>
    public Func<(double Loss, IReadOnlyDictionary<string, double>? Metrics)>? Validation { get; init; }

    /// <summary>Told of every step, choice of entries and validation as it happens.</summary>
    public event Action<RunEvent>? Happened;

    /// <summary>Told when the state should be saved: every <see cref="TrainingOptions.SaveEvery"/> steps, at the end, and when the run ends early.</summary>
    public event Action? SaveDue;

    /// <summary>Trains until <see cref="Steps"/> are done, or until <paramref name="stop"/> asks to end after the step under way.</summary>
    /// <exception cref="LiftException">A loss or a gradient is not a finite number; the state before that step was saved.</exception>
    public void Run(CancellationToken stop = default)
    {
        if (Masks.Count == 0) Begin();
        using var batches = new BatchAhead(data);
        while (Step < Steps && !stop.IsCancellationRequested)
        {
            long started = Stopwatch.GetTimestamp();
            double lr = schedule.At(Step + 1);
            Batch[] micro = [.. Enumerable.Range(0, options.Accumulate).Select(_ => batches.Next())];
            session.LossScale = scaler.Scale;
            float loss = session.Step([.. micro.Select(b => (b.Values, WeightOf(b)))]);
            DeviceBuffer<float> gradient = entries.Gradient;
            double norm = Norm(gradient);
            if (float.IsFinite(loss) && !double.IsFinite(norm) && Skip(loss))
            {
                position = batches.Position;
                continue;
            }
            if (!float.IsFinite(loss) || !double.IsFinite(norm)) throw Diverged(loss, norm, lr);

            entries.Observe();
            optimizer.Step(gradient, lr);
            double? used = scaler.IsActive ? scaler.Scale : null;
            scaler.Passed();
            position = batches.Position;
            long tokens = micro.Sum(b => b.Tokens);
            Tell(new StepDone(Step, loss, lr, Tokens += tokens, Math.Round(tokens / Stopwatch.GetElapsedTime(started).TotalSeconds, 1), norm) { LossScale = used });

            if (RefreshRule.IsDue(Step, options.Interval)) ChooseEntries();
            if (IsDue(options.ValidateEvery)) Validate();
            if (IsDue(options.SaveEvery)) Save();
        }
        if (savedStep != Step) Save(); // stopped between two checkpoints
    }

    /// <summary>The state after the last step: all that <see cref="Restore"/> needs to go on as if never stopped. To be written before the next step, whose memory it shares.</summary>
    public Checkpoint Capture() => Checkpoint.Capture(Tokens, position, device, session, optimizer, entries, scaler);

    /// <summary>Goes back to a saved state. The session must hold the weights that the run began with.</summary>
    /// <exception cref="LiftException">The state belongs to another model or other options.</exception>
    public void Restore(Checkpoint saved)
    {
        saved.Restore(device, session, optimizer, entries, scaler);
        (Tokens, position) = (saved.Tokens, saved.Position);
        data.Position = position;
        savedStep = Step;
    }

    public void Dispose()
    {
        entries.Dispose();
        optimizer.Dispose();
    }

    /// <summary>The first choice of entries. A selection that ranks by gradients sees those of the first batch, which is then given out again.</summary>
    private void Begin()
    {
        if (entries.Statistics is not null)
        {
            session.Step(data.Next().Values);
            entries.Observe();
            session.RevertStatistics();
            data.Position = position;
        }
        ChooseEntries();
        if (Validation is not null) Validate();
    }

    private void ChooseEntries()
    {
        RefreshReport report = entries.Choose().Total;
        Tell(new MaskRefreshed(Step, report.K, Finite(report.Overlap), Finite(report.Bound), report.Seconds));
    }

    private void Validate()
    {
        if (Validation?.Invoke() is { } score) Tell(new Validated(Step, score.Loss, score.Metrics));
    }

    private void Save()
    {
        savedStep = Step;
        SaveDue?.Invoke();
    }

    private void Tell(RunEvent what) => Happened?.Invoke(what);

    private bool IsDue(int every) => Step == Steps || (every > 0 && Step % every == 0);

    /// <summary>Leaves out a step whose scaled gradients overflowed; false where another scale would not help.</summary>
    private bool Skip(float loss)
    {
        double scale = scaler.Scale;
        if (!scaler.Overflowed()) return false;
        Tell(new StepSkipped(Step, loss, scale));
        return true;
    }

    private double WeightOf(Batch batch) => options.Average == LossAverage.Token ? batch.LabelTokens : 1;

    private double Norm(DeviceBuffer<float> gradient)
    {
        device.Run(new SquaredNorm(gradient, squares));
        return Math.Sqrt(squares[0]);
    }

    private LiftException Diverged(float loss, double norm, double lr)
    {
        session.RevertStatistics();
        Save();
        return new LiftException(string.Create(CultureInfo.InvariantCulture,
            $"The run diverged at step {Step + 1}: loss {loss}, gradient norm {norm}, learning rate {lr:G3}; the state before it is saved. Begin anew with a lower --lr, a longer --warmup or --clip 1, and check the rows of the batch."));
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
