namespace Lift.Ort.Onnx.Opsets;

/// <summary>Recurrent layers of layout 1, batch first, which ONNX Runtime does not run: written with layout 0 between transposes.</summary>
internal static class BatchFirst
{
    public static bool Is(Node node) => node.Operator is "LSTM" or "GRU" or "RNN" && node.Int("layout") == 1;

    /// <summary>x [batch, steps, inputs], states [batch, directions, hidden], y [batch, steps, directions, hidden]</summary>
    public static void Rewrite(NodeRewrite r)
    {
        Node node = r.Node;
        List<Node> before = [], after = [];
        node.Attributes.Remove("layout");
        foreach (int index in (int[])[0, 5, 6])
        {
            if (node.Input(index) is not { } input) continue;
            string turned = r.NewName($"input{index}_steps_first");
            before.Add(new Node("Transpose", "", [input], [turned], turned).With("perm", [1L, 0, 2]));
            node.Inputs[index] = turned;
        }
        for (int i = 0; i < node.Outputs.Count; i++)
        {
            if (node.Output(i) is not { } output) continue;
            string turned = r.NewName($"{i}_steps_first");
            after.Add(new Node("Transpose", "", [turned], [output], output).With("perm", i == 0 ? [2L, 0, 1, 3] : [1L, 0, 2]));
            node.Outputs[i] = turned;
        }
        r.ReplaceBy([.. before, node, .. after]);
    }
}
