using System.Globalization;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;

namespace Lift.Ort.Training;

/// <summary>
/// The state of a run between two steps: values, masks, moments, and the place in data and schedule. Everything random in a run follows from its
/// seeds and counts, so no generator's state is needed. Values are those of the entries that were ever trained; the others are the prepared model's.
/// </summary>
public sealed class Checkpoint
{
    private const string Format = "lift-run-1";
    private const string First = "moment.first", Second = "moment.second", Master = "moment.master", StatisticName = "statistic", Scale = "loss.scale", Running = "running.";

    /// <summary>Optimizer steps done.</summary>
    public required int Step { get; init; }

    /// <summary>Tokens seen, without padding.</summary>
    public required long Tokens { get; init; }

    /// <summary>Where the next micro-batch comes from.</summary>
    public required BatchPosition Position { get; init; }

    /// <summary>How often entries were chosen.</summary>
    public required int Choices { get; init; }

    /// <summary>Gradients that the selection's statistic has seen; 0 where it needs none.</summary>
    public int Observed { get; init; }

    /// <summary>The trained entries, one mask per weight.</summary>
    public required IReadOnlyList<Mask> Masks { get; init; }

    /// <summary>Entries that were ever trained, one mask per weight.</summary>
    public required IReadOnlyList<Mask> Touched { get; init; }

    /// <summary>The values of the <see cref="Touched"/> entries, weight by weight: one per position, or the whole weight.</summary>
    public required IReadOnlyList<Tensor> Values { get; init; }

    /// <summary>m and v of the trained entries and the float32 master of 16-bit ones, and what the selection wants to remember: by name.</summary>
    public required IReadOnlyDictionary<string, Tensor> State { get; init; }

    /// <summary>Writes the file anew, as a whole: an older one stays until the new one is complete.</summary>
    /// <exception cref="LiftException">The disk is full or the place cannot be written.</exception>
    public void Write(string path)
    {
        var tensors = new List<Tensor>();
        for (int i = 0; i < Masks.Count; i++)
        {
            if (Masks[i].Positions is { } mask) tensors.Add(Tensor.From<int>($"mask.{i}", mask, mask.Length));
            if (Touched[i].Positions is { } touched) tensors.Add(Tensor.From<int>($"touched.{i}", touched, touched.Length));
            tensors.Add(Values[i].Rename($"value.{i}"));
        }
        tensors.AddRange(State.Select(s => s.Value.Rename(s.Key)));
        Safetensors.Write(path, tensors, new Dictionary<string, string>
        {
            ["format"] = Format,
            ["step"] = Text(Step),
            ["tokens"] = Text(Tokens),
            ["epoch"] = Text(Position.Epoch),
            ["batch"] = Text(Position.Index),
            ["choices"] = Text(Choices),
            ["observed"] = Text(Observed),
            ["weights"] = string.Join('\n', Masks.Select(m => $"{m.Weight}\t{string.Join(',', m.Dims)}")),
        });
    }

    /// <exception cref="LiftException">The file is missing, damaged or not of this form.</exception>
    public static Checkpoint Read(string path)
    {
        Safetensors file = Safetensors.Read(path);
        IReadOnlyDictionary<string, string> about = file.Metadata;
        if (about.GetValueOrDefault("format") != Format) throw new LiftException($"'{path}' is no checkpoint of a run that this version reads; begin the run anew.");
        try
        {
            (string Name, long[] Dims)[] weights = [.. about["weights"].Split('\n').Select(w => w.Split('\t')).Select(w => (w[0], w[1].Split(',', StringSplitOptions.RemoveEmptyEntries).Select(long.Parse).ToArray()))];
            Mask Read(string kind, int i) => new Mask(weights[i].Name, weights[i].Dims, file.Tensors.TryGetValue($"{kind}.{i}", out Tensor? positions) ? positions.AsSpan<int>().ToArray() : null).Check();
            return new Checkpoint
            {
                Step = int.Parse(about["step"], CultureInfo.InvariantCulture),
                Tokens = long.Parse(about["tokens"], CultureInfo.InvariantCulture),
                Position = new(int.Parse(about["epoch"], CultureInfo.InvariantCulture), int.Parse(about["batch"], CultureInfo.InvariantCulture)),
                Choices = int.Parse(about["choices"], CultureInfo.InvariantCulture),
                Observed = int.Parse(about["observed"], CultureInfo.InvariantCulture),
                Masks = [.. weights.Select((_, i) => Read("mask", i))],
                Touched = [.. weights.Select((_, i) => Read("touched", i))],
                Values = [.. weights.Select((w, i) => file.Tensors[$"value.{i}"].Rename(w.Name))],
                State = file.Tensors.Where(t => !t.Key.StartsWith("mask.") && !t.Key.StartsWith("touched.") && !t.Key.StartsWith("value.")).ToDictionary(t => t.Key, t => t.Value),
            };
        }
        catch (Exception e) when (e is KeyNotFoundException or FormatException or OverflowException or IndexOutOfRangeException)
        {
            throw new LiftException($"'{path}' is a damaged checkpoint ({e.Message}); begin the run anew.", e);
        }
    }

    /// <summary>Takes the state out of a run. Moments may be the run's own memory: write or read it before the next step.</summary>
    internal static Checkpoint Capture(long tokens, BatchPosition position, IDevice device, TrainingSession session, Optimizer optimizer, EntryChoice entries, LossScaler scaler)
    {
        Moments moments = optimizer.Moments;
        var state = new Dictionary<string, Tensor> { [First] = moments.First.ToHost(First), [Second] = moments.Second.ToHost(Second) };
        if (moments.Master is { } master) state[Master] = master.ToHost(Master);
        if (entries.Statistics is { } statistics) state[StatisticName] = statistics.ToTensor();
        if (scaler.IsActive) state[Scale] = Tensor.From<double>(Scale, [scaler.Scale, scaler.Good], 2);
        foreach (SessionWeight statistic in session.Statistics) state[Running + statistic.Name] = statistic.ToTensor();
        foreach (var (weight, basis) in entries.Selector.Bases) state[$"basis.{weight}"] = basis;
        return new Checkpoint
        {
            Step = optimizer.Steps,
            Tokens = tokens,
            Position = position,
            Choices = entries.Count,
            Observed = entries.Statistics?.Steps ?? 0,
            Masks = entries.Masks,
            Touched = entries.Touched,
            Values = [.. session.Weights.Zip(entries.Touched, (w, mask) => EntryValues.Read(device, w, mask))],
            State = state,
        };
    }

    /// <summary>Puts the state into a run whose weights are the prepared model's.</summary>
    /// <exception cref="LiftException">It belongs to another model.</exception>
    internal void Restore(IDevice device, TrainingSession session, Optimizer optimizer, EntryChoice entries, LossScaler scaler)
    {
        string[] mine = [.. Masks.Select(m => $"{m.Weight} [{string.Join(", ", m.Dims)}]")], model = [.. optimizer.Weights.Select(w => $"{w.Name} [{string.Join(", ", w.Dims)}]")];
        if (!mine.SequenceEqual(model)) throw new LiftException($"The checkpoint is of a model with the trained weights {string.Join(", ", mine)}, but the prepared folder trains {string.Join(", ", model)}; take the folder that the run was begun with.");

        IReadOnlyList<SessionWeight> weights = session.Weights;
        for (int i = 0; i < Values.Count; i++)
        {
            CheckFits(weights[i].Name, weights[i].Type, Touched[i], Values[i]);
            EntryValues.Write(device, weights[i], Touched[i], Values[i]);
        }
        optimizer.Restore(Moments.Restore(device, optimizer.Weights, Masks, Floats(First), Floats(Second), State.ContainsKey(Master) ? Floats(Master) : []), Step);
        entries.Apply(Masks, Touched, Choices);
        foreach (var (name, basis) in State.Where(s => s.Key.StartsWith("basis."))) entries.Selector.Bases[name["basis.".Length..]] = basis.Copy();
        if (State.TryGetValue(Scale, out Tensor? scale)) scaler.Restore(scale.AsSpan<double>()[0], (int)scale.AsSpan<double>()[1]);
        entries.Statistics?.Restore(State[StatisticName], Observed);
        foreach (SessionWeight statistic in session.Statistics)
        {
            if (!State.TryGetValue(Running + statistic.Name, out Tensor? value)) continue;
            CheckFits(statistic.Name, statistic.Type, new(statistic.Name, statistic.Dims, null), value);
            statistic.CopyFrom(value.Reshape(statistic.Dims));
        }
    }

    /// <summary>The running statistics of batch normalisation by the names of their initializers, whole.</summary>
    internal IEnumerable<Tensor> Statistics => State.Where(s => s.Key.StartsWith(Running)).Select(s => s.Value.Rename(s.Key[Running.Length..]));

    /// <summary>The whole weight: <paramref name="original"/> with this state's values at the entries that were trained.</summary>
    internal Tensor Apply(int index, Tensor original)
    {
        Tensor copy = original.Copy();
        original.Forget();
        Put(copy, Touched[index], Values[index]);
        return copy;
    }

    /// <summary>What <see cref="Apply"/> changes of <paramref name="original"/>; null where nothing.</summary>
    internal PatchEntry? Difference(Tensor original, int index)
    {
        CheckFits(original.Name, original.Type, Touched[index], Values[index]);
        PatchEntry? entry = SparsePatch.Difference(original, Touched[index].Positions, Values[index]);
        original.Forget();
        return entry;
    }

    private ReadOnlySpan<float> Floats(string name) => State[name].AsSpan<float>();

    private static void CheckFits(string name, ElementType type, Mask mask, Tensor values)
    {
        if (type != values.Type || values.Count != mask.Length) throw new LiftException($"The checkpoint has {values.TensorType} for the {mask.Length} trained entries of '{name}', which is {type.ToString().ToLowerInvariant()}[{string.Join(", ", mask.Dims)}]; it is damaged or of another model.");
    }

    private static void Put(Tensor weight, Mask mask, Tensor values)
    {
        CheckFits(weight.Name, weight.Type, mask, values);
        if (mask.Positions is not { } positions) values.AsSpan<byte>().CopyTo(weight.AsSpan<byte>());
        else if (weight.Type == ElementType.Float) Scatter(values.AsSpan<float>(), positions, weight.AsSpan<float>());
        else Scatter(values.AsSpan<ushort>(), positions, weight.AsSpan<ushort>());
    }

    private static void Scatter<T>(ReadOnlySpan<T> values, int[] positions, Span<T> weight)
    {
        for (int i = 0; i < positions.Length; i++) weight[positions[i]] = values[i];
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
