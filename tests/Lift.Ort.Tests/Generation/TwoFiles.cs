using System.Text.Json;
using Lift.Ort.Lowering.ControlFlow;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Generation;

/// <summary>An encoder and its decoder as Optimum lays them beside each other, and the same as one model.</summary>
internal sealed class TwoFiles : IDisposable
{
    private static readonly string stored = Path.Combine(TestFiles.Root, "tools", "reference", "decoders", "t5-merged");
    private readonly TempFolder temp = TestFiles.Temp();

    public TwoFiles()
    {
        File.Copy(Path.Combine(stored, "model.onnx"), Decoder);
        File.Copy(Path.Combine(stored, "encoder_model.onnx"), Encoder);
    }

    /// <summary>Sources with the tokens that torch's float64 models write about each alone.</summary>
    public static IReadOnlyList<(int[] Source, int[] Tokens)> Texts { get; } = [.. JsonDocument.Parse(File.ReadAllText(Path.Combine(stored, "greedy.json"))).RootElement.EnumerateArray()
        .Select(t => (Ints(t.GetProperty("source")), Ints(t.GetProperty("tokens"))))];

    public string Decoder => temp["decoder_model_merged.onnx"];

    public string Encoder => temp["encoder_model.onnx"];

    public string this[string name] => temp[name];

    /// <summary>A file of this name: the decoder without cache and If.</summary>
    public string Plain(string name)
    {
        OnnxFile.Write(Unfolding.Of(OnnxFile.Read(Decoder)), temp[name]);
        return temp[name];
    }

    /// <summary>Both in one file: input_ids, attention_mask, decoder_input_ids → logits.</summary>
    public string Joined()
    {
        Graph all = OnnxFile.Read(Encoder), decoder = Unfolding.Of(OnnxFile.Read(Decoder));
        string Named(string name) => name switch
        {
            "" or "logits" => name,
            "input_ids" => "decoder_input_ids",
            "encoder_attention_mask" => "attention_mask",
            "encoder_hidden_states" => "last_hidden_state",
            _ => $"decoder/{name}",
        };
        foreach (var (name, tensor) in decoder.Initializers) all.Initializers.Add(Named(name), tensor.Rename(Named(name)));
        foreach (Node node in decoder.Nodes)
        {
            var copy = new Node(node.OpType, node.Domain, node.Inputs.Select(Named), node.Outputs.Select(Named), $"decoder/{node.Name}");
            foreach (var (key, value) in node.Attributes) copy.Attributes[key] = value;
            all.Nodes.Add(copy);
        }
        all.Inputs.Add(new("decoder_input_ids", decoder.Inputs.Find(i => i.Name == "input_ids")!.Type));
        all.Outputs.Clear();
        all.Outputs.Add(decoder.Outputs.Find(o => o.Name == "logits")!);
        OnnxFile.Write(all, temp["joined.onnx"]);
        return temp["joined.onnx"];
    }

    /// <summary>The encoder as one that listens: frames [batch, 16, time] → states [batch, time, 16], no mask on either side.</summary>
    public (string Encoder, string Decoder) Listening()
    {
        Directory.CreateDirectory(temp["listening"]);
        string encoder = Path.Combine(temp["listening"], "encoder_model.onnx"), decoder = Path.Combine(temp["listening"], "decoder_model_merged.onnx");
        var graph = new Graph { Inputs = { new("input_features", new(ElementType.Float, new("batch_size", 16, "time"))) } };
        ShapeInference.Infer(graph);
        Var states = graph.Var("input_features").Transpose(0, 2, 1).Identity("last_hidden_state");
        graph.Outputs.Add(new(states.Name, states.Type));
        OnnxFile.Write(graph, encoder);

        ModelProto proto = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Decoder));
        proto.Graph.Input.Remove(proto.Graph.Input.Single(i => i.Name == "encoder_attention_mask"));
        proto.Graph.Node.Insert(0, new NodeProto { OpType = "Shape", Name = "s", Input = { "encoder_hidden_states" }, Output = { "s" } });
        foreach (var (name, value) in new[] { ("zero", 0L), ("two", 2) }) proto.Graph.Initializer.Add(new TensorProto { Name = name, DataType = 7, Dims = { 1 }, Int64Data = { value } });
        proto.Graph.Node.Insert(1, new NodeProto { OpType = "Slice", Name = "bt", Input = { "s", "zero", "two" }, Output = { "bt" } });
        var one = new TensorProto { DataType = 7, Dims = { 1 }, Int64Data = { 1 } };
        proto.Graph.Node.Insert(2, new NodeProto { OpType = "ConstantOfShape", Name = "m", Input = { "bt" }, Output = { "encoder_attention_mask" }, Attribute = { new AttributeProto { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor, T = one } } });
        File.WriteAllBytes(decoder, Google.Protobuf.MessageExtensions.ToByteArray(proto));
        return (encoder, decoder);
    }

    public void Dispose() => temp.Dispose();

    private static int[] Ints(JsonElement list) => [.. list.EnumerateArray().Select(v => v.GetInt32())];
}
