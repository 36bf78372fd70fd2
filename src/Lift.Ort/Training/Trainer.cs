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
/// entries, clipped, and given to AdamW, all queued on the device, whose numbers are read one step late where it works by itself; now and then the
/// entries are chosen anew and their moments carried over. Every selection, full fine-tuning included, goes through the same lines. A run that is
/// stopped, saved and resumed gives the same weights, bit for bit, as one never stopped.
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
    private readonly DeviceBuffer<double> verdict;
    private readonly Queue<QueuedStep> queued = [];
    private BatchPosition position;
    private readonly LossScaler scaler;
    private int savedStep; // the step of the latest saved state
    private long settled; // when the numbers of the latest step were there

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
        verdict = device.Allocate<double>(StepVerdict.FirstLoss + options.Accumulate);
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
        verdict.CopyFrom([1], StepVerdict.Good);
        using var batches = new BatchAhead(data);
        while (Step < Steps && !stop.IsCancellationRequested)
        {
            QueuedStep step;
            try
            {
                step = Queue(batches);
            }
            catch (LiftException)
            {
                Settle(0);
                throw;
            }
            if (!RunsAhead)
            {
                if (!Good(step) && Skip(step))
                {
                    position = step.After;
                    continue;
                }
                if (!Good(step)) throw Diverged(step);
                entries.Observe();
            }
            optimizer.Step(step.Gradient, step.LearningRate, verdict);
            queued.Enqueue(step);
            bool refresh = RefreshRule.IsDue(Step, options.Interval), validate = IsDue(options.ValidateEvery), save = IsDue(options.SaveEvery);
            Settle(RunsAhead && !refresh && !validate && !save ? 1 : 0);

            if (refresh) ChooseEntries();
            if (validate) Validate();
            if (save) Save();
        }
        Settle(0);
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
        verdict.Dispose();
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

    /// <summary>
    /// True where the host may queue a step before it knows how the last one went: a step that is not finite, and all that are queued behind it, then
    /// change nothing on the device. Scaled losses and selections by gradients are looked at first.
    /// </summary>
    private bool RunsAhead => !scaler.IsActive && entries.Statistics is null;

    /// <summary>The next step's micro-batches; where a row of them cannot be read (a damaged image), no step that was done is lost.</summary>
    private Batch[] Read(BatchAhead batches)
    {
        try
        {
            return [.. Enumerable.Range(0, options.Accumulate).Select(_ => batches.Next())];
        }
        catch (LiftException)
        {
            Settle(0);
            if (savedStep != Step) Save();
            throw;
        }
    }

    /// <summary>Queues forward and backward pass of the next step and what its numbers say.</summary>
    private QueuedStep Queue(BatchAhead batches)
    {
        long started = Stopwatch.GetTimestamp();
        double lr = schedule.At(Step + 1);
        Batch[] micro = Read(batches);
        session.LossScale = scaler.Scale;
        double[] shares = session.Queue([.. micro.Select(b => (b.Values, WeightOf(b)))]);
        DeviceBuffer<float> gradient = entries.Gradient;
        device.Run(new StepVerdict(session.MicroLosses, gradient, verdict, Sticky: RunsAhead));
        if (RunsAhead && session.Running is { } running) device.Run(new RevertUnlessGood(verdict, running.Now, running.Before));
        return new(Step + 1, lr, shares, gradient, micro.Sum(b => b.Tokens), batches.Position, started, device.Fetch(verdict));
    }

    /// <summary>Finishes the steps whose numbers have come, and waits until no more than <paramref name="ahead"/> are under way.</summary>
    private void Settle(int ahead)
    {
        while (queued.TryPeek(out QueuedStep? step) && (queued.Count > ahead || step.Verdict.IsReady))
        {
            queued.Dequeue();
            if (!Good(step)) throw Diverged(step);
            double? used = scaler.IsActive ? scaler.Scale : null;
            scaler.Passed();
            position = step.After;
            long since = Math.Max(step.Started, settled);
            settled = Stopwatch.GetTimestamp();
            Tell(new StepDone(step.Step, step.Loss, step.LearningRate, Tokens += step.Tokens, Math.Round(step.Tokens / Stopwatch.GetElapsedTime(since, settled).TotalSeconds, 1), step.Norm) { LossScale = used });
        }
    }

    private static bool Good(QueuedStep step) => float.IsFinite(step.Loss) && double.IsFinite(step.Norm);

    private bool IsDue(int every) => Step == Steps || (every > 0 && Step % every == 0);

    /// <summary>Leaves out a step whose scaled gradients overflowed; false where another scale would not help.</summary>
    private bool Skip(QueuedStep step)
    {
        double scale = scaler.Scale;
        if (!float.IsFinite(step.Loss) || !scaler.Overflowed()) return false;
        Tell(new StepSkipped(Step, step.Loss, scale));
        return true;
    }

    private double WeightOf(Batch batch) => options.Average == LossAverage.Token ? batch.LabelTokens : 1;

    private LiftException Diverged(QueuedStep step)
    {
        foreach (QueuedStep behind in queued) behind.Verdict.Wait();
        queued.Clear();
        optimizer.Steps = step.Step - 1;
        session.RevertStatistics();
        Save();
        return new LiftException(string.Create(CultureInfo.InvariantCulture,
            $"The run diverged at step {step.Step}: loss {step.Loss}, gradient norm {step.Norm}, learning rate {step.LearningRate:G3}; the state before it is saved. Begin anew with a lower --lr, a longer --warmup or --clip 1, and check the rows of the batch."));
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;

    /// <summary>A step whose numbers are under way.</summary>
    /// <param name="Shares">With what weight each micro-batch's loss counts.</param>
    /// <param name="After">Where the data stand behind it.</param>
    private sealed record QueuedStep(int Step, double LearningRate, double[] Shares, DeviceBuffer<float> Gradient, long Tokens, BatchPosition After, long Started, Later<double> Verdict)
    {
        /// <summary>The mean loss; waits for it.</summary>
        public float Loss => (float)Shares.Select((share, i) => share * Verdict.Wait()[StepVerdict.FirstLoss + i]).Sum();

        /// <summary>L2 norm of the gradient; waits for it.</summary>
        public double Norm => Math.Sqrt(Verdict.Wait()[StepVerdict.Squares]);
    }
}
