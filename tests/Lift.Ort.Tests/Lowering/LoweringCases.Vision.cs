using Lift.Ort.Onnx;
using Lift.Ort.Tests.Gradients;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Lowering;

internal static partial class LoweringCases
{
    private static GradientCase[] GroupNorms(bool skips)
    {
        GradientCase Of(string note, long[] dims, long groups, long activation, bool last, long[]? skip = null, bool bias = false)
        {
            long channels = last ? dims[^1] : dims[1];
            Tensor[] inputs = [F(dims), F([channels], 0.5f, 1.5f), F([channels]), .. (Tensor[])(skips ? [F(skip ?? dims, seed: 3)] : []), .. (Tensor[])(bias ? [F([channels], seed: 4)] : [])];
            return new(note, inputs, n => n.With("groups", groups).With("activation", activation).With("channels_last", last ? 1L : 0L).With("epsilon", 1e-3f), skips ? 2 : 1)
            {
                Expected = () => PlainGroupNorm(inputs, groups, activation, last, skips),
            };
        }
        return skips
            ? [Of("plain", [2, 2, 3, 4], 2, 0, true), Of("bias, SiLU", [2, 3, 2, 6], 3, 1, true, bias: true), Of("skip of channels", [2, 2, 3, 4], 2, 1, true, [2, 4]), Of("skip of one place", [2, 2, 3, 4], 4, 0, true, [2, 1, 1, 4], true)]
            : [Of("plain", [2, 2, 3, 4], 2, 0, true), Of("SiLU", [1, 3, 2, 6], 3, 1, true), Of("channels first", [2, 4, 2, 3], 2, 1, false), Of("one group", [2, 2, 2, 3], 1, 0, true)];
    }

    private static Dictionary<string, float[]> PlainGroupNorm(Tensor[] inputs, long groups, long activation, bool last, bool skips)
    {
        long[] dims = inputs[0].Dims;
        float[] x = inputs[0].ToFloats(), gamma = inputs[1].ToFloats(), beta = inputs[2].ToFloats();
        int images = (int)dims[0], channels = gamma.Length, places = x.Length / images / channels, size = channels / (int)groups;
        int At(int image, int place, int channel) => last ? (image * places + place) * channels + channel : (image * channels + channel) * places + place;
        if (skips)
        {
            float[] skip = inputs[3].ToFloats();
            for (int i = 0; i < x.Length; i++) x[i] += skip[skip.Length == x.Length ? i : i / (places * channels) * channels + i % channels] + (inputs.Length > 4 ? inputs[4].ToFloats()[i % channels] : 0);
        }
        var y = new float[x.Length];
        for (int image = 0; image < images; image++)
            for (int set = 0; set < groups; set++)
            {
                int[] members = [.. from p in Enumerable.Range(0, places) from c in Enumerable.Range(set * size, size) select At(image, p, c)];
                double mean = members.Average(i => (double)x[i]), variance = members.Average(i => (x[i] - mean) * (x[i] - mean));
                for (int p = 0; p < places; p++)
                    for (int c = set * size; c < (set + 1) * size; c++)
                    {
                        double v = (x[At(image, p, c)] - mean) / Math.Sqrt(variance + 1e-3f) * gamma[c] + beta[c];
                        y[At(image, p, c)] = (float)(activation == 1 ? v / (1 + Math.Exp(-v)) : v);
                    }
            }
        var result = new Dictionary<string, float[]> { ["y"] = y };
        if (skips) result["y.1"] = x;
        return result;
    }

    private static GradientCase[] Deformable()
    {
        GradientCase Of(string note, long[] x, long[] w, long[] places, long shifts, bool bias, bool mask, long group = 1, long[]? strides = null, long[]? pads = null, long[]? dilations = null)
        {
            long window = w[2] * w[3];
            Tensor?[] inputs = [F(x), F(w), F([x[0], shifts * window * 2, .. places], -1.3f, 1.37f, 3), bias ? F([w[0]]) : null, mask ? F([x[0], shifts * window, .. places], 0.2f, 1, 4) : null];
            inputs = inputs[..(mask ? 5 : bias ? 4 : 3)];
            strides ??= [1, 1];
            pads ??= [0, 0, 0, 0];
            dilations ??= [1, 1];
            return new(note, inputs, n => n.With("group", group).With("offset_group", shifts).With("strides", strides).With("pads", pads).With("dilations", dilations), Opset: 19)
            {
                Known = [(1, 2), (1, 3)],
                Step = 2e-4f,
                Expected = () => new Dictionary<string, float[]> { ["y"] = PlainDeformable(inputs, places, (int)shifts, (int)group, strides, pads, dilations) },
            };
        }
        return
        [
            Of("plain", [1, 2, 4, 5], [3, 2, 3, 3], [2, 3], 1, false, false), Of("bias and mask", [2, 2, 4, 4], [2, 2, 2, 2], [3, 3], 1, true, true),
            Of("groups, strides, pads", [1, 4, 5, 5], [4, 2, 3, 3], [3, 3], 2, true, true, 2, [2, 2], [1, 1, 1, 1]), Of("dilation", [1, 2, 6, 5], [2, 2, 2, 2], [4, 3], 2, false, true, 1, null, null, [2, 2]),
        ];
    }

    private static float[] PlainDeformable(Tensor?[] inputs, long[] places, int shifts, int group, long[] strides, long[] pads, long[] dilations)
    {
        Tensor x = inputs[0]!, w = inputs[1]!;
        float[] px = x.ToFloats(), pw = w.ToFloats(), offset = inputs[2]!.ToFloats();
        float[]? bias = inputs.ElementAtOrDefault(3)?.ToFloats(), mask = inputs.ElementAtOrDefault(4)?.ToFloats();
        int[] d = [.. x.Dims.Select(v => (int)v)], f = [.. w.Dims.Select(v => (int)v)];
        int oh = (int)places[0], ow = (int)places[1], window = f[2] * f[3];
        double Pixel(int image, int c, int row, int column) => row >= 0 && row < d[2] && column >= 0 && column < d[3] ? px[((image * d[1] + c) * d[2] + row) * d[3] + column] : 0;
        var y = new List<float>();
        for (int image = 0; image < d[0]; image++)
            for (int o = 0; o < f[0]; o++)
                for (int i = 0; i < oh; i++)
                    for (int j = 0; j < ow; j++)
                    {
                        double sum = bias?[o] ?? 0;
                        for (int c = 0; c < f[1]; c++)
                            for (int k = 0; k < window; k++)
                            {
                                int channel = o / (f[0] / group) * f[1] + c, shift = channel / (d[1] / shifts);
                                int Move(int part) => ((((image * shifts + shift) * window + k) * 2 + part) * oh + i) * ow + j;
                                double row = i * strides[0] - pads[0] + k / f[3] * dilations[0] + offset[Move(0)], column = j * strides[1] - pads[1] + k % f[3] * dilations[1] + offset[Move(1)];
                                int r = (int)Math.Floor(row), q = (int)Math.Floor(column);
                                double value = (1 - row + r) * ((1 - column + q) * Pixel(image, channel, r, q) + (column - q) * Pixel(image, channel, r, q + 1))
                                    + (row - r) * ((1 - column + q) * Pixel(image, channel, r + 1, q) + (column - q) * Pixel(image, channel, r + 1, q + 1));
                                sum += pw[(o * f[1] + c) * window + k] * value * (mask?[(((image * shifts + shift) * window + k) * oh + i) * ow + j] ?? 1);
                            }
                        y.Add((float)sum);
                    }
        return [.. y];
    }
}
