using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Sparse;

/// <summary>
/// The optimizer that an artifact folder brings (its optimizer_model.onnx and the moments in its checkpoint), applied to every entry of a session's weights:
/// AdamWOptimizer in both modes and SGDOptimizerV2, with InplaceClipGradNorm before it where the model has it.
/// </summary>
public sealed unsafe class FolderOptimizer : IDisposable
{
    private readonly TrainingSession session;
    private readonly Optimizer optimizer;

    /// <param name="session">Its weights are changed by <see cref="Step"/>; keep it open as long as this object.</param>
    /// <param name="device">The session's device.</param>
    /// <exception cref="LiftException">The folder has no optimizer model, or one that cannot be run.</exception>
    public FolderOptimizer(ArtifactFolder folder, TrainingSession session, IDevice device)
    {
        (this.session, Recipe) = (session, OptimizerRecipe.Of(folder));
        Tensor[] weights = [.. session.Slices.Select(s => s.Weight.Value)];
        optimizer = new Optimizer(device, weights, AdamWOptions.Of(Recipe));
        optimizer.SetMasks([.. weights.Select(w => new Mask(w.Name, w.Dims, null))]);
        if (folder.Checkpoint.Groups.FirstOrDefault(g => g.Name == ArtifactNames.OptimizerGroup) is { } group) GoOn(group);
    }

    public OptimizerRecipe Recipe { get; }

    /// <summary>Optimizer steps so far, those in the checkpoint included.</summary>
    public int Steps => optimizer.Steps;

    /// <summary>One step with the gradients of the session's last step.</summary>
    /// <param name="learningRate">Of this step; a rate that is built into the model goes before it.</param>
    public void Step(double learningRate) => optimizer.Step(session.Gradients, Recipe.LearningRate ?? learningRate);

    /// <summary>Steps and moments as a checkpoint holds them, for <see cref="ArtifactFolder.Save"/>.</summary>
    public OptimizerGroup State(double learningRate) => new(ArtifactNames.OptimizerGroup, optimizer.Steps, (float)learningRate, [.. optimizer.Weights.Select((w, i) =>
        new ParameterMoments(w.Name, Recipe.Kind == OptimizerKind.Sgd ? [Tensor.Empty("momentum0", ElementType.Float, w.Dims)]
            : [Moment("momentum0", w, i, optimizer.Moments.First), Moment("momentum1", w, i, optimizer.Moments.Second)]))]);

    public void Dispose() => optimizer.Dispose();

    private void GoOn(OptimizerGroup group)
    {
        optimizer.Steps = checked((int)group.Step);
        foreach (ParameterMoments state in group.States)
        {
            int i = optimizer.Weights.ToList().FindIndex(w => w.Name == state.Parameter);
            if (i < 0) continue;
            long offset = optimizer.Moments.Segments[i].Offset;
            foreach (var (name, buffer) in (IEnumerable<(string, DeviceBuffer<float>)>)[("momentum0", optimizer.Moments.First), ("momentum1", optimizer.Moments.Second)])
            {
                if (state.Moments.FirstOrDefault(m => m.Name == name) is not { } moment) continue;
                if (moment.Count != optimizer.Weights[i].Count) throw new LiftException($"The checkpoint's {name} of '{state.Parameter}' has {moment.Count} entries, the parameter {optimizer.Weights[i].Count}; the files are not of one folder.");
                buffer.CopyFrom(moment.AsSpan<float>(), offset);
            }
        }
    }

    private Tensor Moment(string name, Tensor weight, int index, DeviceBuffer<float> buffer)
    {
        Tensor moment = Tensor.Empty(name, ElementType.Float, weight.Dims);
        buffer.CopyTo(moment.AsSpan<float>(), optimizer.Moments.Segments[index].Offset);
        return moment;
    }
}
