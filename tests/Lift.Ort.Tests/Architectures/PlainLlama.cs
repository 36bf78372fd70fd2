using System.Numerics;
using Lift.Ort.Architectures;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Architectures;

/// <summary>A Llama written as loops over one sequence, in double: the oracle for the graph.</summary>
internal static class PlainLlama
{
    /// <summary>Logits [T, vocabulary] of one sequence.</summary>
    public static float[] Logits(LlamaShape s, Graph graph, long[] ids)
    {
        float[] W(string name) => graph.Initializers[name].ToFloats();
        float[] embedding = W("model.embed_tokens.weight");
        double[][] x = [.. ids.Select(id => Array.ConvertAll(embedding[(int)(id * s.Width)..(int)((id + 1) * s.Width)], v => (double)v))];
        for (int i = 0; i < s.Layers; i++)
        {
            string layer = $"model.layers.{i}";
            double[][] Linear(double[][] rows, string name) => Product(rows, W($"{layer}.{name}.weight"));
            double[][] normal = Norm(x, W($"{layer}.input_layernorm.weight"), s.Epsilon);
            double[][] mixed = Attention(s, Linear(normal, "self_attn.q_proj"), Linear(normal, "self_attn.k_proj"), Linear(normal, "self_attn.v_proj"));
            x = Sum(x, Linear(mixed, "self_attn.o_proj"));
            normal = Norm(x, W($"{layer}.post_attention_layernorm.weight"), s.Epsilon);
            double[][] gate = Linear(normal, "mlp.gate_proj"), up = Linear(normal, "mlp.up_proj");
            x = Sum(x, Linear([.. gate.Zip(up, (g, u) => g.Zip(u, (a, b) => a / (1 + Math.Exp(-a)) * b).ToArray())], "mlp.down_proj"));
        }
        x = Norm(x, W("model.norm.weight"), s.Epsilon);
        double[][] logits = s.Tied
            ? [.. x.Select(row => Enumerable.Range(0, s.Vocab).Select(v => row.Select((h, i) => h * embedding[v * s.Width + i]).Sum()).ToArray())]
            : Product(x, W("lm_head.weight"));
        return [.. logits.SelectMany(row => row).Select(v => (float)v)];
    }

    private static double[][] Attention(LlamaShape s, double[][] q, double[][] k, double[][] v)
    {
        int d = s.Head, group = s.Heads / s.KvHeads;
        var result = q.Select(row => new double[s.Width]).ToArray();
        for (int h = 0; h < s.Heads; h++)
        {
            int kv = h / group;
            for (int t = 0; t < q.Length; t++)
            {
                double[] query = Turn(q[t][(h * d)..((h + 1) * d)], t, s.Theta);
                double[] scores = [.. Enumerable.Range(0, t + 1).Select(u => Math.Exp(Turn(k[u][(kv * d)..((kv + 1) * d)], u, s.Theta).Zip(query, (a, b) => a * b).Sum() / Math.Sqrt(d)))];
                double total = scores.Sum();
                for (int i = 0; i < d; i++) result[t][h * d + i] = scores.Select((p, u) => p / total * v[u][kv * d + i]).Sum();
            }
        }
        return result;
    }

    /// <summary>Dimension i turns with dimension i + D/2, as a complex number, by the angle t / θ^(2i/D).</summary>
    private static double[] Turn(double[] x, int t, double theta)
    {
        int half = x.Length / 2;
        var result = new double[x.Length];
        for (int i = 0; i < half; i++)
        {
            Complex turned = new Complex(x[i], x[i + half]) * Complex.FromPolarCoordinates(1, t / Math.Pow(theta, 2.0 * i / x.Length));
            (result[i], result[i + half]) = (turned.Real, turned.Imaginary);
        }
        return result;
    }

    private static double[][] Norm(double[][] x, float[] weight, double epsilon) =>
        [.. x.Select(row => row.Select((v, i) => v / Math.Sqrt(row.Average(e => e * e) + epsilon) * weight[i]).ToArray())];

    private static double[][] Product(double[][] x, float[] weight)
    {
        int columns = weight.Length / x[0].Length;
        return [.. x.Select(row => Enumerable.Range(0, columns).Select(j => row.Select((v, i) => v * weight[i * columns + j]).Sum()).ToArray())];
    }

    private static double[][] Sum(double[][] a, double[][] b) => [.. a.Zip(b, (x, y) => x.Zip(y, (u, v) => u + v).ToArray())];
}
