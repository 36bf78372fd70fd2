using Lift.Ort.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Cases of recurrent layers, compared with ONNX Runtime's own; each with the sizes of x known, and again with symbols for them.</summary>
[GradientCaseGroup]
internal static class RecurrentCases
{
    public static Dictionary<string, GradientCase[]> Cases { get; } = ConvolutionCases.Twice(new()
    {
        ["LSTM"] = [.. Layers("LSTM", 4), .. Lstm()],
        ["GRU"] = [.. Layers("GRU", 3), .. Layers("GRU", 3, n => n.With("linear_before_reset", 1L))],
        ["RNN"] = [.. Layers("RNN", 1)],
        ["com.microsoft.LSTMTraining"] = [Of("one output", "LSTM", 4, 3, 2, 1, true, false, null, 3)],
        ["com.microsoft.GRUTraining"] = [Of("two outputs", "GRU", 3, 3, 2, 1, true, false, null, 2)],
    });

    private static IEnumerable<GradientCase> Layers(string op, int gates, Action<Node>? more = null)
    {
        int outputs = op == "LSTM" ? 3 : 2;
        GradientCase Layer(string note, int steps, int batch, int directions, bool bias, bool start, Action<Node>? attributes = null, int[]? lengths = null) => Of(note, op, gates, steps, batch, directions, bias, start, n =>
        {
            attributes?.Invoke(n);
            more?.Invoke(n);
        }, outputs, lengths);
        yield return Layer("plain", 4, 2, 1, true, true);
        yield return Layer("bare", 3, 1, 1, false, false);
        yield return Layer("reverse", 3, 2, 1, true, true, n => n.With("direction", "reverse"));
        yield return Layer("bidirectional", 3, 2, 2, true, true, n => n.With("direction", "bidirectional"));
        yield return Layer("lengths", 4, 3, 1, true, true, null, [4, 1, 3]);
        yield return Layer("lengths, bidirectional", 4, 3, 2, true, false, n => n.With("direction", "bidirectional"), [2, 4, 3]);
        yield return Layer("one step", 1, 2, 1, true, false);
        yield return Layer("only the last state", 3, 2, 1, true, false) with { Absent = [0] };
        if (op == "RNN") yield return Layer("relu", 3, 2, 1, true, false, n => n.Set(Strings("activations", "Relu"))) with { Step = 1e-3f };
        if (op == "RNN") yield return Layer("clip", 3, 2, 2, true, true, n => n.With("clip", 0.37f).With("direction", "bidirectional")) with { Step = 2e-4f };
        if (op == "RNN") yield return Layer("clip, bare", 3, 2, 1, false, false, n => n.With("clip", 0.37f)) with { Step = 2e-4f };
    }

    private static IEnumerable<GradientCase> Lstm()
    {
        GradientCase plain = Of("peephole", "LSTM", 4, 3, 2, 1, true, true, null, 3);
        yield return plain with { Inputs = [.. plain.Inputs[..4], null, .. plain.Inputs[5..], F([1, 3 * Hidden], -0.5f, 0.5f, 9)] };
        yield return plain with { Note = "clip", Attributes = n => n.With("hidden_size", (long)Hidden).With("clip", 0.31f), Step = 1e-3f };
        yield return plain with { Note = "coupled", Attributes = n => n.With("hidden_size", (long)Hidden).With("input_forget", 1L) };
        yield return plain with { Note = "other functions", Attributes = n => n.With("hidden_size", (long)Hidden).Set(Strings("activations", "HardSigmoid", "Softsign", "ScaledTanh")).Set(Floats("activation_alpha", 0.3f, 1.5f)).Set(Floats("activation_beta", 0.4f, 0.7f)), Step = 1e-3f };
    }

    private const int Hidden = 3, Inputs = 2;

    private static GradientCase Of(string note, string op, int gates, int steps, int batch, int directions, bool bias, bool start, Action<Node>? attributes, int outputs, int[]? lengths = null)
    {
        Tensor? initial = start ? F([directions, batch, Hidden], -0.5f, 0.5f, 5) : null;
        Tensor?[] inputs =
        [
            F([steps, batch, Inputs]), F([directions, gates * Hidden, Inputs], -0.8f, 0.8f, 2), F([directions, gates * Hidden, Hidden], -0.8f, 0.8f, 3), bias ? F([directions, 2 * gates * Hidden], -0.5f, 0.5f, 4) : null,
            lengths is null ? null : Tensor.From<int>("l", lengths, lengths.Length), initial, .. (Tensor?[])(op == "LSTM" ? [start ? F([directions, batch, Hidden], -0.5f, 0.5f, 6) : null] : []),
        ];
        int given = Array.FindLastIndex(inputs, i => i is not null) + 1;
        return new(note, inputs[..given], n =>
        {
            n.With("hidden_size", (long)Hidden);
            attributes?.Invoke(n);
        }, outputs, 17);
    }

    private static AttributeProto Strings(string name, params string[] values)
    {
        var a = new AttributeProto { Name = name, Type = AttributeProto.Types.AttributeType.Strings };
        a.Strings.AddRange(values.Select(Google.Protobuf.ByteString.CopyFromUtf8));
        return a;
    }

    private static AttributeProto Floats(string name, params float[] values)
    {
        var a = new AttributeProto { Name = name, Type = AttributeProto.Types.AttributeType.Floats };
        a.Floats.AddRange(values);
        return a;
    }
}
