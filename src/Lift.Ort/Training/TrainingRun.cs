using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;

namespace Lift.Ort.Training;

/// <summary>A run in a folder: prepared model, data and <see cref="Trainer"/> put together, its log written, its state saved.</summary>
public sealed class TrainingRun : IDisposable
{
    private readonly ArtifactFolder artifacts;
    private readonly TrainingSession session;
    private readonly RunValidation? validation;
    private readonly RunLog log;
    private readonly SourceEncoder? encoder;

    private TrainingRun(RunFolder folder, Parts parts)
    {
        (Folder, artifacts, session, validation, Trainer, encoder) = (folder, parts.Artifacts, parts.Session, parts.Validation, parts.Trainer, parts.Encoder);
        bool saved = File.Exists(folder.CheckpointPath);
        try
        {
            if (saved) Trainer.Restore(Checkpoint.Read(folder.CheckpointPath));
            log = RunLog.Open(folder.LogPath, saved ? Trainer.Step : -1);
        }
        catch
        {
            Close();
            throw;
        }
        Trainer.Happened += log.Write;
        Trainer.SaveDue += Save;
    }

    public RunFolder Folder { get; }

    public Trainer Trainer { get; }

    /// <summary>The inputs that rows give, labels among them.</summary>
    public IReadOnlyList<GraphValue> Inputs => encoder?.Inputs ?? session.Inputs;

    /// <summary>Rows of the training data that were cut at the maximal length, and rows left out because no label was left.</summary>
    public (int Truncated, int Skipped) Rows { get; private init; }

    /// <summary>Whether the session's runs were recorded and replayed on its device, and why not.</summary>
    public Recording Recording => session.Recording;

    /// <summary>A sentence where LIFT's filter rank reduces nothing for some of the trained weights; null otherwise.</summary>
    public string? Unreduced => Folder.Settings.Training.Choice().Unreduced([.. session.Weights.Select(w => w.Value.Dims)]);

    /// <summary>Begins a run in a new folder, after everything it needs was opened and checked.</summary>
    /// <param name="force">True replaces a run that is there.</param>
    /// <exception cref="LiftException">Options, data or prepared folder are wrong, or the folder is taken; nothing in it was changed.</exception>
    public static TrainingRun Start(string path, RunSettings settings, IDevice device, bool force = false)
    {
        RunFolder.CheckFree(path, force);
        if (settings.Training.Optimizer is null && OptimizerRecipe.OfOthers(settings.Artifacts) is { } recipe)
            settings = settings with { Training = settings.Training with { Optimizer = AdamWOptions.Of(recipe) } };
        Parts parts = Open(settings, device, begins: true);
        return new TrainingRun(RunFolder.Create(path, settings with { Rows = parts.Fitted, Encoder = parts.Encoder is { } e ? Path.GetFullPath(e.Path) : null }, force), parts) { Rows = parts.Rows };
    }

    /// <summary>Goes on with the run in a folder, from its latest checkpoint or from the start where there is none.</summary>
    /// <param name="artifacts">The prepared folder where it moved; null takes the recorded path.</param>
    /// <exception cref="LiftException">It is no run folder, or something it needs is no longer as it was.</exception>
    public static TrainingRun Resume(string path, IDevice device, string? artifacts = null)
    {
        RunFolder folder = RunFolder.Open(path);
        Parts parts = Open(folder.Settings with { Artifacts = artifacts ?? folder.Settings.Artifacts }, device, begins: false);
        return new TrainingRun(folder, parts) { Rows = parts.Rows };
    }

    /// <summary>Trains to the end, or until <paramref name="stop"/>; the state is saved in both cases.</summary>
    /// <returns>True when all steps are done.</returns>
    /// <exception cref="LiftException">A loss or gradient is not finite; the state before that step is saved.</exception>
    public bool Train(CancellationToken stop = default)
    {
        Trainer.Run(stop);
        return Trainer.Step == Trainer.Steps;
    }

    public void Dispose()
    {
        log.Dispose();
        Close();
    }

    private void Close()
    {
        Trainer.Dispose();
        validation?.Dispose();
        encoder?.Dispose();
        session.Dispose();
    }

    private void Save() => Trainer.Capture().Write(Folder.CheckpointPath);

    private static Parts Open(RunSettings settings, IDevice device, bool begins)
    {
        settings.Training.Check();
        ArtifactFolder artifacts = ArtifactFolder.Open(settings.Artifacts);
        TrainingSession session = TrainingSession.Open(artifacts, device, new() { Recompute = settings.Training.Recompute });
        SourceEncoder? encoder = null;
        try
        {
            using ITokenizer? tokenizer = Tokenizer.Open(settings.Tokenizer);
            encoder = SourceEncoder.For(settings.Encoder, begins ? artifacts.Source : null, settings.Data, session.Inputs, device);
            if (encoder is not null) session.WithoutRecording("the encoder works on another thread meanwhile");
            DataOptions rows = ForModel(settings.Rows, artifacts.Record, session.Inputs);
            IReadOnlyList<GraphValue> inputs = rows.Rename(encoder?.Inputs ?? session.Inputs);
            if (begins) rows = DataFit.Of(settings.Data, inputs, rows, ModelNotes.Beside(artifacts.Source));
            BatchReader data = BatchReader.Open(settings.Data, tokenizer, inputs, rows);
            IBatchSource batches = encoder is null ? data : new EncodedBatches(data, encoder);
            if (begins) CheckFirst(batches, new BatchCheck(session.Inputs, artifacts.Record));
            if (settings.Validation is null) return new(artifacts, session, null, new Trainer(session, device, batches, settings.Training), (data.Truncated, data.Skipped), rows, encoder);

            BatchReader held = BatchReader.Open(settings.Validation, tokenizer, inputs, rows with { Shuffle = false });
            var validation = new RunValidation(artifacts, device, [.. session.Weights, .. session.Statistics], () => encoder is null ? held.Epoch() : held.Epoch().Select(encoder.Encode), rows);
            return new(artifacts, session, validation, new Trainer(session, device, batches, settings.Training) { Validation = validation.Measure }, (data.Truncated, data.Skipped), rows, encoder);
        }
        catch
        {
            encoder?.Dispose();
            session.Dispose();
            throw;
        }
    }

    /// <summary>Makes the first batch, before there is a run: what is wrong with all rows is wrong with it.</summary>
    private static void CheckFirst(IBatchSource batches, BatchCheck check)
    {
        BatchPosition start = batches.Position;
        check.Check(batches.Next().Values);
        batches.Position = start;
    }

    /// <summary>What the prepared model says of labels: shifted or not, how many ids or classes there are.</summary>
    private static DataOptions ForModel(DataOptions rows, ArtifactRecord record, IReadOnlyList<GraphValue> inputs)
    {
        rows = rows with { LabelsInput = record.Labels };
        if (record.Loss is not null) return rows.For(record.AllTerms);
        bool causal = !inputs.Any(i => i.Name == record.Labels && i.Type.Rank is 0 or 1); // another program's: one class for a row
        return rows with { Kind = null, LabelRange = null, Group = 1, Shifted = causal, VocabularySize = causal ? (int?)record.Classes : null, Classes = causal ? null : (int?)record.Classes };
    }

    private sealed record Parts(ArtifactFolder Artifacts, TrainingSession Session, RunValidation? Validation, Trainer Trainer, (int, int) Rows, DataOptions Fitted, SourceEncoder? Encoder);
}
