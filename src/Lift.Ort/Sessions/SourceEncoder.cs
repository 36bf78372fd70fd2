using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;
using Tensor = Lift.Ort.Onnx.Tensor;

namespace Lift.Ort.Sessions;

/// <summary>
/// The encoder of a decoder that lies in a file of its own: it runs as it is, frozen, and gives the decoder what that reads as <c>encoder_hidden_states</c>.
/// Rows of data are read for both files as if they were one model. Not thread-safe.
/// </summary>
public sealed class SourceEncoder : IDisposable
{
    /// <summary>The decoder's input that holds the encoder's states, [batch, source, width].</summary>
    public const string States = ModelInputs.EncoderStates;

    private static readonly string[] files = ["encoder_model.onnx", "encoder.onnx", "encoder_model_fp32.onnx", "model_encoder.onnx"];
    private static readonly string[] outputs = [States, "last_hidden_state", "hidden_states", "encoder_output", "encoder_outputs", "encoder_out"];

    private readonly InferenceSession session;
    private readonly RunOptions run = new();
    private readonly Tensor[] weights; // those that the session takes as inputs
    private readonly GraphValue[] inputs;
    private readonly IReadOnlyList<GraphValue> decoder;
    private readonly Dictionary<string, string> sources; // the encoder's outputs, by the decoder's inputs that they become
    private readonly string words;

    private SourceEncoder(string path, IReadOnlyList<GraphValue> decoder, InferenceSession session, Tensor[] weights)
    {
        (Path, this.session, this.weights, this.decoder) = (path, session, weights, decoder);
        inputs = [.. session.InputMetadata.Where(i => weights.All(w => w.Name != i.Key)).Select(i => new GraphValue(i.Key, PlainSession.TypeOf(i.Value)))];
        string[] floats = [.. session.OutputMetadata.Where(o => PlainSession.TypeOf(o.Value) is var t && t.Element.IsFloat() && t.Rank is null or 3).Select(o => o.Key)];
        string states = outputs.FirstOrDefault(floats.Contains) ?? floats.FirstOrDefault()
            ?? throw new LiftException($"'{path}' gives no states [batch, source, width] for '{States}'; its outputs are: {string.Join(", ", session.OutputMetadata.Keys)}. Name the encoder's file with --encoder.");
        sources = decoder.Where(i => i.Name != States && new ModelInputs(decoder).MustBeGiven(i) && session.OutputMetadata.ContainsKey(i.Name)).ToDictionary(i => i.Name, i => i.Name);
        sources[States] = states;
        words = new ModelInputs(decoder).Tokens?.Name ?? throw new LiftException($"The decoder reads no tokens (inputs: {string.Join(", ", decoder.Select(i => i.Name))}).");
        CheckWidth(decoder.First(i => i.Name == States), PlainSession.TypeOf(session.OutputMetadata[states]));
        Inputs = [.. inputs, .. decoder.Where(i => !IsFed(i)).Select(i => i with { Name = OuterName(i.Name) }).Where(i => inputs.All(e => e.Name != i.Name))];
    }

    public string Path { get; }

    /// <summary>What rows and batches give: the encoder's inputs, and the decoder's under names that an encoder-decoder in one file has (<c>decoder_input_ids</c>).</summary>
    public IReadOnlyList<GraphValue> Inputs { get; }

    /// <summary>The encoder's own inputs.</summary>
    internal IReadOnlyList<GraphValue> Own => inputs;

    /// <summary>True for a decoder that reads an encoder's states.</summary>
    public static bool IsNeeded(IReadOnlyList<GraphValue> decoder) => decoder.Any(i => i.Name == States);

    /// <summary>The encoder's file beside a decoder's, under the names that exporters give it; null where there is none, or no model is given.</summary>
    public static string? Beside(string? decoder)
    {
        if (decoder is null) return null;
        string folder = Directory.Exists(decoder) ? decoder : System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(decoder))!, own = System.IO.Path.GetFileName(decoder);
        string[] named = [.. own.Contains("decoder", StringComparison.OrdinalIgnoreCase) ? new[] { own.Replace("decoder", "encoder").Replace("_with_past", "").Replace("_merged", ""), own.Replace("decoder", "encoder") } : [], .. files];
        return named.Where(n => n != own).Select(n => System.IO.Path.Combine(folder, n)).FirstOrDefault(File.Exists);
    }

    /// <summary>The encoder that a decoder's data set needs: the file named, else the one beside the decoder; null where the decoder reads no states, the rows hold them, or there is no such file.</summary>
    /// <param name="path">The encoder's file, or null.</param>
    /// <param name="beside">The decoder's file, or null.</param>
    /// <param name="data">The data file.</param>
    /// <exception cref="LiftException">The file is missing or no encoder for this decoder.</exception>
    public static SourceEncoder? For(string? path, string? beside, string data, IReadOnlyList<GraphValue> decoder, IDevice device)
    {
        if (path is null && IsNeeded(decoder) && RecordFile.Read(data).FirstOrDefault()?.Has(States) != true) path = Beside(beside);
        return path is null ? null : Open(path, decoder, device);
    }

    /// <param name="path">The encoder's .onnx file.</param>
    /// <param name="decoder">The decoder's inputs, labels among them or not.</param>
    /// <exception cref="LiftException">The file is missing or no encoder for this decoder.</exception>
    public static SourceEncoder Open(string path, IReadOnlyList<GraphValue> decoder, IDevice device)
    {
        if (Directory.Exists(path)) path = Beside(path) ?? throw new LiftException($"There is no encoder in '{path}' ({string.Join(", ", files)}); name its file with --encoder.");
        if (!File.Exists(path)) throw new LiftException($"There is no encoder '{path}'; give an .onnx file.");
        if (!IsNeeded(decoder)) throw new LiftException($"The model reads no '{States}' (inputs: {string.Join(", ", decoder.Select(i => i.Name))}), so it has no use for an encoder; leave --encoder away.");
        var (session, weights) = PlainSession.Open(path, PlainSession.TryRead(path), device);
        try
        {
            return new(path, decoder, session, weights);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>A batch of <see cref="Inputs"/> as the decoder reads it: the encoder's states in place of what the encoder read.</summary>
    /// <exception cref="LiftException">ONNX Runtime cannot run the encoder on it.</exception>
    public Batch Encode(Batch batch)
    {
        Dictionary<string, Tensor> encoded = Encode(batch.Values), values = [];
        foreach (GraphValue input in decoder)
            if (encoded.TryGetValue(input.Name, out Tensor? value) || batch.Values.TryGetValue(OuterName(input.Name), out value)) values[input.Name] = value.Rename(input.Name);
        if (batch.Values.TryGetValue(Batch.LabelsName, out Tensor? labels)) values[Batch.LabelsName] = labels;
        return batch with { Values = values };
    }

    /// <summary>What the decoder gets from the encoder, by the decoder's input names.</summary>
    /// <param name="values">By the encoder's input names; others are left aside.</param>
    /// <exception cref="LiftException">ONNX Runtime cannot run the encoder on it.</exception>
    internal Dictionary<string, Tensor> Encode(IReadOnlyDictionary<string, Tensor> values)
    {
        OrtValue[] given = [.. inputs.Select(i => HostValue.Of(values[i.Name])), .. weights.Select(HostValue.Of)];
        var result = new Dictionary<string, Tensor>();
        try
        {
            using var made = session.Run(run, [.. inputs.Select(i => i.Name), .. weights.Select(w => w.Name)], given, [.. sources.Values]);
            foreach (var (name, value) in sources.Keys.Zip(made))
            {
                OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
                var copy = Tensor.Empty(name, (ElementType)(int)info.ElementDataType, info.Shape);
                value.GetTensorMutableRawData().CopyTo(copy.AsSpan<byte>());
                result[name] = MediaFile.Typed(copy, decoder.First(i => i.Name == name).Type);
            }
        }
        catch (OnnxRuntimeException e)
        {
            throw new LiftException($"ONNX Runtime could not run the encoder '{Path}' on this batch: {e.Message}", e);
        }
        finally
        {
            foreach (OrtValue value in given) value.Dispose();
            GC.KeepAlive(values);
        }
        if (decoder.FirstOrDefault(i => i.Name == ModelInputs.EncoderMask) is { } mask) result[mask.Name] = Mask(mask, values, result[States].Dims);
        return result;
    }

    public void Dispose()
    {
        session.Dispose();
        run.Dispose();
    }

    /// <summary>The source's own mask; ones where the encoder reads none, or where its states have another length than what it read.</summary>
    private static Tensor Mask(GraphValue input, IReadOnlyDictionary<string, Tensor> values, long[] states)
    {
        if (values.TryGetValue("attention_mask", out Tensor? own) && own.Dims.SequenceEqual(states[..2])) return MediaFile.Typed(own, input.Type).Rename(input.Name);
        Tensor ones = Tensor.Empty(input.Name, input.Type.Element, states[..2]);
        for (int i = 0; i < ones.Count; i++) FieldReader.Set(ones, i, 1);
        return ones;
    }

    private bool IsFed(GraphValue input) => sources.ContainsKey(input.Name) || input.Name == ModelInputs.EncoderMask;

    /// <summary>The name under which a batch for both files holds one of the decoder's inputs.</summary>
    private string OuterName(string name) => name == words ? ModelInputs.DecoderIds : name switch
    {
        "attention_mask" => ModelInputs.DecoderMask,
        "position_ids" => ModelInputs.DecoderPositions,
        _ => name,
    };

    private void CheckWidth(GraphValue wanted, TensorType given)
    {
        if (wanted.Type.Shape is { Rank: 3 } w && given.Shape is { Rank: 3 } g && w[2].Value is { } width && g[2].Value is { } made && width != made)
            throw new LiftException($"The encoder '{Path}' gives states of width {made}, but the decoder's '{States}' is {wanted.Type}; give the encoder that belongs to this decoder (--encoder).");
    }
}
