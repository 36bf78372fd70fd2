using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse;

public readonly unsafe partial record struct MaskedAdamW
{
    private const long Chunk = 1 << 16; // entries that one thread takes at a time
    private const int Ahead = 64;       // entries: how far ahead lines of the weight are fetched

    public void Run(CpuDevice device)
    {
        var work = new List<(Segment Segment, long From, long To)>();
        foreach (Segment s in Segments)
        {
            for (long from = 0; from < s.Length; from += Chunk) work.Add((s, from, Math.Min(from + Chunk, s.Length)));
        }
        MaskedAdamW self = this;
        AdamWStep step = Step;
        if (Verdict is { } verdict)
        {
            double* say = (double*)verdict.Pointer;
            if (say[StepVerdict.Good] == 0) return;
            step = step with { GradientScale = ScaleFor(step, say[StepVerdict.Squares]) };
        }
        var numbers = new Numbers(step);
        if (work.Count < 2 || device.Threads < 2)
        {
            foreach (var (segment, from, to) in work) self.Update(numbers, segment, from, to);
            return;
        }
        Parallel.ForEach(work, new ParallelOptions { MaxDegreeOfParallelism = device.Threads }, w => self.Update(numbers, w.Segment, w.From, w.To));
    }

    private void Update(in Numbers n, in Segment s, long from, long to)
    {
        float* g = (float*)Gradient.Pointer + s.Offset, m = (float*)First.Pointer + s.Offset, v = (float*)Second.Pointer + s.Offset;
        int* positions = (int*)s.Positions;
        if (s.Type == ElementType.Float) Single((float*)s.Weight, positions, n, g, m, v, from, to);
        else Half((ushort*)s.Weight, positions, s.Type, (float*)Master!.Pointer + s.Master, n, g, m, v, from, to);
    }

    /// <summary>float32 weights: sixteen or eight entries at a time where the processor can gather, the same operations in the same order for the rest.</summary>
    private static void Single(float* w, int* positions, in Numbers n, float* g, float* m, float* v, long from, long to)
    {
        long i = from;
        if (positions == null)
        {
            for (; i + 8 <= to; i += 8) n.Next(Vector256.Load(w + i), Vector256.Load(g + i), m + i, v + i).Store(w + i);
        }
        else if (Avx2.IsSupported)
        {
            for (; i + 8 <= to; i += 8)
            {
                Vector256<float> next = n.Next(Avx2.GatherVector256(w, Vector256.Load(positions + i), sizeof(float)), Vector256.Load(g + i), m + i, v + i);
                int* p = positions + i;
                if (i + Ahead + 8 <= to)
                {
                    for (int lane = 0; lane < 8; lane++) Sse.Prefetch0(w + p[Ahead + lane]);
                }
                for (int lane = 0; lane < 8; lane++) w[p[lane]] = next.GetElement(lane);
            }
        }
        for (; i < to; i++)
        {
            float* entry = w + (positions == null ? i : positions[i]);
            *entry = n.Next(*entry, g[i], m + i, v + i);
        }
    }

    /// <summary>16-bit weights: the master takes the step, the weight its rounded value.</summary>
    private static void Half(ushort* w, int* positions, ElementType type, float* master, in Numbers n, float* g, float* m, float* v, long from, long to)
    {
        long i = from;
        for (; i + 8 <= to; i += 8)
        {
            Vector256<float> next = n.Next(Vector256.Load(master + i), Vector256.Load(g + i), m + i, v + i);
            next.Store(master + i);
            for (int lane = 0; lane < 8; lane++) w[positions == null ? i + lane : positions[i + lane]] = HalfPrecision.Round(next.GetElement(lane), type);
        }
        for (; i < to; i++)
        {
            master[i] = n.Next(master[i], g[i], m + i, v + i);
            w[positions == null ? i : positions[i]] = HalfPrecision.Round(master[i], type);
        }
    }

    /// <summary>The step's scalars in float32, and the formula for one entry and for eight.</summary>
    private readonly struct Numbers
    {
        public readonly float b1, c1, b2, c2, a, root, epsilon, decay, scale, clip;
        public readonly bool torch;

        public Numbers(AdamWStep step)
        {
            AdamWOptions o = step.Options;
            double first = o.BiasCorrection ? 1 - Math.Pow(o.Beta1, step.Step) : 1, second = o.BiasCorrection ? Math.Sqrt(1 - Math.Pow(o.Beta2, step.Step)) : 1;
            torch = o.Form == AdamWForm.Torch;
            (b1, c1, b2, c2) = ((float)o.Beta1, (float)(1 - o.Beta1), (float)o.Beta2, (float)(1 - o.Beta2));
            a = (float)(torch ? step.LearningRate / first : step.LearningRate * second / first);
            root = (float)second;
            (epsilon, decay) = ((float)o.Epsilon, (float)(step.LearningRate * o.WeightDecay));
            (scale, clip) = ((float)step.GradientScale, o.ClipValue > 0 ? (float)o.ClipValue : float.PositiveInfinity);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public float Next(float w, float g, float* m, float* v)
        {
            g = MathF.Min(MathF.Max(g * scale, -clip), clip);
            float mt = *m = b1 * *m + c1 * g, vt = *v = b2 * *v + c2 * (g * g);
            if (torch) w -= decay * w;
            float size = torch ? MathF.Sqrt(vt) / root + epsilon : MathF.Sqrt(vt) + epsilon;
            w -= a * (mt / size);
            if (!torch) w -= decay * w;
            return w;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector256<float> Next(Vector256<float> w, Vector256<float> g, float* m, float* v)
        {
            g = Vector256.Min(Vector256.Max(g * scale, Vector256.Create(-clip)), Vector256.Create(clip));
            Vector256<float> mt = Vector256.Load(m) * b1 + g * c1, vt = Vector256.Load(v) * b2 + g * g * c2;
            mt.Store(m);
            vt.Store(v);
            if (torch) w -= w * decay;
            Vector256<float> size = torch ? Vector256.Sqrt(vt) / root + Vector256.Create(epsilon) : Vector256.Sqrt(vt) + Vector256.Create(epsilon);
            w -= mt / size * a;
            if (!torch) w -= w * decay;
            return w;
        }
    }
}
