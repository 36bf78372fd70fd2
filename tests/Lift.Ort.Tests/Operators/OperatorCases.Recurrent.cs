using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Operators;

internal static partial class OperatorCases
{
    private sealed record Layer(PlainRecurrent Plain, bool Bias, bool Start, bool Peephole);

    private static IEnumerable<Layer> Layers(bool lstm)
    {
        foreach (string direction in new[] { "forward", "reverse", "bidirectional" })
        {
            yield return new(new(3, 2, 3, 4, direction, []), true, true, false);
            yield return new(new(4, 3, 2, 5, direction, [4, 2, 1]), true, true, lstm);
        }
        yield return new(new(1, 1, 1, 1, "forward", []), false, false, false);
        yield return new(new(3, 2, 2, 19, "forward", []), true, false, lstm);
        yield return new(new(3, 7, 2, 3, "forward", [], Clip: 0.40625), true, true, lstm);
        yield return new(new(3, 2, 2, 3, "bidirectional", [], Smooth: true), true, false, false);
        if (lstm) yield break;
        yield return new(new(3, 2, 3, 4, "forward", [], Linear: true), true, true, false);
        yield return new(new(3, 2, 2, 17, "reverse", [3, 1], Linear: true), false, true, false);
        yield return new(new(4, 3, 2, 5, "bidirectional", [4, 2, 3], Linear: true), true, true, false);
    }

    private static OneNode NodeOf(string op, PlainRecurrent p, int outputs)
    {
        var attributes = new List<(string, object)> { ("hidden_size", (long)p.Hidden), ("direction", p.Direction) };
        if (p.Clip > 0) attributes.Add(("clip", (float)p.Clip));
        if (p.Linear) attributes.Add(("linear_before_reset", 1L));
        if (p.Smooth) attributes.Add(("activation_functions", op[0] == 'L' ? "Sigmoid Softsign Tanh" : "Sigmoid Softsign"));
        return new OneNode(op, [.. attributes]) { Outputs = outputs };
    }

    /// <summary>X, W, R, B, lengths, h₀, c₀, P; null where absent.</summary>
    private static TestTensor?[] InputsOf(Layer layer, int gates)
    {
        PlainRecurrent p = layer.Plain;
        long d = p.Directions, h = p.Hidden;
        Grid Small(int seed, params long[] dims) => Grid.Normal(seed, dims).Map(v => v / 2);
        return
        [
            Grid.Normal(71, p.Steps, p.Batch, p.Inputs), Small(72, d, gates * h, p.Inputs), Small(73, d, gates * h, h), layer.Bias ? Small(74, d, 2 * gates * h) : null,
            p.Lengths.Length > 0 ? new(ElementType.Int32, [p.Batch], [.. p.Lengths.Select(l => (double)l)]) : null,
            layer.Start ? Small(75, d, p.Batch, h) : null, layer.Start && gates == 4 ? Small(76, d, p.Batch, h) : null, layer.Peephole ? Small(77, d, 3 * h) : null,
        ];
    }

    private static Dual[] Duals(TestTensor? t) => t is null ? [] : Array.ConvertAll(t.Values, v => (Dual)v);

    private static Dual[][] Forward(Layer layer, int gates, Dual[][] v) => gates == 4 ? layer.Plain.Lstm(v[0], v[1], v[2], v[3], v[5], v[6], v[7]) : layer.Plain.Gru(v[0], v[1], v[2], v[3], v[5]);

    private static TestTensor[] OutputsOf(Layer layer, int gates, Dual[][] values)
    {
        long t = layer.Plain.Steps, d = layer.Plain.Directions, b = layer.Plain.Batch, h = layer.Plain.Hidden;
        long[][] dims = gates == 4 ? [[t, d, b, h], [d, b, h], [d, b, h], [t, d, b, h], [t, d, b, 4 * h]] : [[t, d, b, h], [d, b, h], [t, d, b, 3 * h]];
        return [.. values.Select((v, i) => new TestTensor(ElementType.Float, dims[i], Array.ConvertAll(v, x => x.Value)))];
    }

    private static IEnumerable<OperatorCase> RecurrentForward(string op, int gates)
    {
        foreach (Layer layer in Layers(gates == 4))
        {
            TestTensor?[] inputs = InputsOf(layer, gates);
            TestTensor[] expected = OutputsOf(layer, gates, Forward(layer, gates, [.. inputs.Select(Duals)]));
            yield return new(NodeOf(op, layer.Plain, expected.Length), gates == 4 ? inputs : inputs[..6], expected) { HasFallback = false, Tolerance = 1e-5 };
        }
    }

    /// <summary>Derivatives of Σ g · y along every element of every input, by arithmetic on dual numbers.</summary>
    private static IEnumerable<OperatorCase> RecurrentBackward(string op, int gates)
    {
        foreach (Layer layer in Layers(gates == 4))
        {
            TestTensor?[] inputs = InputsOf(layer, gates);
            Dual[][] values = [.. inputs.Select(Duals)];
            TestTensor[] y = OutputsOf(layer, gates, Forward(layer, gates, values));
            TestTensor[] g = [.. y[..(gates == 4 ? 3 : 2)].Select((t, i) => (TestTensor)Grid.Normal(81 + i, t.Dims))];
            int[] of = gates == 4 ? [0, 1, 2, 3, 5, 6, 7] : [0, 1, 2, 3, 5];
            long d = layer.Plain.Directions, b = layer.Plain.Batch, h = layer.Plain.Hidden;
            TestTensor[] expected = [.. of.Where(i => inputs[i] is not null).Select(i =>
            {
                double[] slopes = new double[values[i].Length];
                for (int k = 0; k < slopes.Length; k++)
                {
                    Dual given = values[i][k];
                    values[i][k] = new(given.Value, 1);
                    Dual[][] outputs = Forward(layer, gates, values);
                    slopes[k] = g.Select((t, o) => t.Values.Zip(outputs[o], (a, v) => a * v.Slope).Sum()).Sum();
                    values[i][k] = given;
                }
                return new TestTensor(ElementType.Float, inputs[i]!.Dims, slopes);
            })];
            TestTensor?[] all = gates == 4 ? [inputs[0], inputs[1], inputs[2], inputs[4], inputs[5], inputs[6], y[0], y[3], y[4], g[0], g[1], g[2], .. (TestTensor?[])(inputs[7] is null ? [] : [inputs[7]])]
                : [.. inputs[..6], y[0], y[2], g[0], g[1]];
            int[] absent = [.. of.Index().Where(i => inputs[i.Item] is null).Select(i => i.Index)];
            yield return new(NodeOf(op, layer.Plain, of.Length) with { Absent = absent }, all, expected) { HasFallback = false, Tolerance = 2e-5 };
        }
    }
}
