using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Lowering.Decoders;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Microsoft.ML.OnnxRuntime;
using Tensor = Lift.Ort.Onnx.Tensor;

namespace Lift.Ort.Generation;

/// <summary>An exported model in a plain ONNX Runtime session: batches in, one output (logits, scores) out. What training made is judged here as its users will run it.</summary>
public sealed unsafe class ExportedModel : IDisposable
{
    private readonly InferenceSession session;
    private readonly RunOptions run = new();
    private readonly Tensor[] weights; // those that the session takes as inputs
    private readonly IDevice device;
    private RowSelector? selector;

    private ExportedModel(string path, InferenceSession session, Tensor[] weights, string? output, IDevice device, Graph? graph, string? encoder)
    {
        (Path, this.session, this.weights, this.device) = (path, session, weights, device);
        GraphValue[] inputs = [.. session.InputMetadata.Where(i => weights.All(w => w.Name != i.Key)).Select(i => new GraphValue(i.Key, PlainSession.TypeOf(i.Value)))];
        Inputs = DecoderInputs.Marked(graph ?? new(), inputs);
        string[] floats = [.. session.OutputMetadata.Where(o => PlainSession.TypeOf(o.Value).Element.IsFloat()).Select(o => o.Key)];
        if (output is not null && !floats.Contains(output)) throw new LiftException($"'{path}' has no float output '{output}'; it has: {string.Join(", ", floats)}.");
        Output = output ?? (floats.Contains("logits") ? "logits" : floats.FirstOrDefault() ?? throw new LiftException($"'{path}' has no float output to score."));
        OutputType = PlainSession.TypeOf(session.OutputMetadata[Output]);
        OutputOperator = graph?.Nodes.Find(n => n.Outputs.Contains(Output))?.OpType ?? "";
        IsInTrainingForm = graph?.Nodes.Exists(n => n.Operator == "BatchNormalization" && n.Int("training_mode") != 0) == true;
        Cache = CacheLayout.Of(graph, Inputs, [.. session.OutputMetadata.Select(o => new GraphValue(o.Key, PlainSession.TypeOf(o.Value)))]);
        encoder ??= SourceEncoder.IsNeeded(Inputs) ? SourceEncoder.Beside(path) : null;
        if (encoder is not null) Encoder = SourceEncoder.Open(encoder, Inputs, device);
        CacheTypes = [.. Cache?.Slots.Select(s => (ElementType)(int)session.InputMetadata[s.Past].ElementDataType) ?? []];
    }

    public string Path { get; }

    /// <summary>The model's inputs, without labels.</summary>
    public IReadOnlyList<GraphValue> Inputs { get; }

    /// <summary>The encoder of a decoder that lies in a file of its own; null where the model needs none, or none was found.</summary>
    public SourceEncoder? Encoder { get; }

    /// <summary>What rows of data give: the model's inputs, with those of an encoder in another file.</summary>
    public IReadOnlyList<GraphValue> RowInputs => Encoder?.Inputs ?? Inputs;

    /// <summary>True for a model that writes about a source of its own: an encoder-decoder, in one file or two.</summary>
    public bool ReadsSource => SourceEncoder.IsNeeded(Inputs) || new ModelInputs(Inputs).HasDecoder;

    /// <summary>Name of the output that is read.</summary>
    public string Output { get; }

    public TensorType OutputType { get; }

    /// <summary>Size of the output's last axis (vocabulary, classes), null where the file does not say.</summary>
    public int? Classes => OutputType.Shape is { Rank: > 0 } shape ? (int?)shape[-1].Value : null;

    /// <summary>Operator that makes the output, for example Softmax; "" where the file cannot be read as a graph.</summary>
    internal string OutputOperator { get; }

    /// <summary>True where the file normalises with each batch's own statistics (BatchNormalization exported in training form): scores then depend on the other rows of a batch.</summary>
    public bool IsInTrainingForm { get; }

    /// <summary>How the model's key/value cache lies; null where it has none that can be used.</summary>
    internal CacheLayout? Cache { get; }

    /// <summary>What the first step of a text showed of the cache.</summary>
    internal CacheTrust Trust { get; } = new();

    /// <summary>Element types of the cache, in the layout's order.</summary>
    internal IReadOnlyList<ElementType> CacheTypes { get; }

    /// <summary>Tokens that went through <see cref="RunCached"/>, padding included: what a test of the cache counts.</summary>
    internal long TokensRead { get; private set; }

    /// <summary>Picks rows out of the cache.</summary>
    internal RowSelector Selector => selector ??= new(Cache!, CacheTypes, device);

    /// <param name="path">An .onnx file, or a folder with model.onnx in it.</param>
    /// <param name="output">Which output to read; default <c>logits</c>, else the first float output.</param>
    /// <param name="encoder">The encoder's file of a decoder that reads <c>encoder_hidden_states</c>; default: the one beside it, where there is one.</param>
    /// <exception cref="LiftException">A file is missing or no sound model, or has no such output.</exception>
    public static ExportedModel Open(string path, IDevice device, string? output = null, string? encoder = null)
    {
        if (Directory.Exists(path)) path = System.IO.Path.Combine(path, "model.onnx");
        if (!File.Exists(path)) throw new LiftException($"There is no model '{path}'; give an .onnx file.");
        Graph? graph = PlainSession.TryRead(path);
        var (session, weights) = PlainSession.Open(path, graph, device);
        try
        {
            return new ExportedModel(path, session, weights, output, device, graph, encoder);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>Sees to it that what the model writes about can be read.</summary>
    /// <exception cref="LiftException">The model reads an encoder's states, and its encoder was not found.</exception>
    public void CheckEncoder()
    {
        if (Encoder is null && SourceEncoder.IsNeeded(Inputs))
            throw new LiftException($"'{Path}' is a decoder that reads '{SourceEncoder.States}', and no encoder lies beside it; name the encoder's file with --encoder.");
    }

    /// <summary>Runs one batch; dispose the result before the next one to keep memory low.</summary>
    /// <param name="values">By input name; entries that are no input (labels) are left aside.</param>
    /// <exception cref="LiftException">ONNX Runtime cannot run the batch, for example because an id is outside the embedding.</exception>
    public ModelOutput Run(IReadOnlyDictionary<string, Tensor> values)
    {
        string[] names = [.. Inputs.Select(i => i.Name), .. weights.Select(w => w.Name)];
        if (Inputs.FirstOrDefault(i => !values.ContainsKey(i.Name)) is { } missing)
            throw new LiftException($"'{Path}' has an input '{missing.Name}' {missing.Type} that the batch does not give; it gives: {string.Join(", ", values.Keys)}.");
        OrtValue[] inputs = [.. Inputs.Select(i => HostValue.Of(values[i.Name])), .. weights.Select(HostValue.Of)];
        try
        {
            var results = session.Run(run, names, inputs, [Output]);
            return new ModelOutput(results[0], results);
        }
        catch (OnnxRuntimeException e)
        {
            throw new LiftException($"ONNX Runtime could not run '{Path}' on this batch: {e.Message}", e);
        }
        finally
        {
            foreach (var input in inputs) input.Dispose();
            GC.KeepAlive(values);
        }
    }

    /// <summary>Runs one step of a decoder: the cache goes in as it is and comes out grown, both on the device.</summary>
    /// <param name="values">The inputs beside the cache.</param>
    /// <param name="past">The cache in the layout's order; it stays the caller's.</param>
    /// <returns>The scores, and the new cache, to be disposed of by the caller.</returns>
    /// <exception cref="LiftException">ONNX Runtime cannot run it, or the output is no logits.</exception>
    internal (ModelOutput Output, OrtValue[] Cache) RunCached(IReadOnlyDictionary<string, Tensor> values, IReadOnlyList<OrtValue> past)
    {
        using OrtIoBinding binding = session.CreateIoBinding();
        foreach (Tensor tensor in Inputs.Where(i => Cache!.Slots.All(s => s.Past != i.Name)).Select(i => values[i.Name]).Concat(weights))
        {
            using OrtValue value = HostValue.Of(tensor);
            binding.BindInput(tensor.Name, value);
        }
        binding.BindOutputToDevice(Output, OrtMemoryInfo.DefaultInstance);
        for (int i = 0; i < past.Count; i++)
        {
            binding.BindInput(Cache!.Slots[i].Past, past[i]);
            binding.BindOutputToDevice(Cache.Slots[i].Present, device.MemoryInfo);
        }
        try
        {
            session.RunWithBinding(run, binding);
        }
        catch (OnnxRuntimeException e)
        {
            throw new LiftException($"ONNX Runtime could not run '{Path}' on this batch: {e.Message}", e);
        }
        GC.KeepAlive(values);
        TokensRead += new ModelInputs(Inputs).Tokens is { } tokens ? values[tokens.Name].Count : 0;
        OrtValue[] results = HostValue.Outputs(binding, [Output, .. Cache!.Slots.Select(s => s.Present)]);
        var output = new ModelOutput(results[0], results[0]);
        CheckLogits(this, output);
        return (output, results[1..]);
    }

    /// <exception cref="LiftException">The output is not [batch, sequence, vocabulary].</exception>
    internal static void CheckLogits(ExportedModel model, ModelOutput output)
    {
        if (output.Dims.Length != 3) throw new LiftException($"The model's output '{model.Output}' is {model.OutputType}; a model that writes text gives [batch, sequence, vocabulary].");
    }

    public void Dispose()
    {
        selector?.Dispose();
        Encoder?.Dispose();
        session.Dispose();
        run.Dispose();
    }
}
