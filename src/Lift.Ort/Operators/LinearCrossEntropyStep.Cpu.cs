using System.Numerics;
using System.Runtime.InteropServices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class LinearCrossEntropyStep
{
    private RuntimeGemm? logits, toHidden, toWeight;

    /// <summary>Bytes that the logits of a chunk may take, where that is enough for <see cref="SmallestCpuChunk"/> rows.</summary>
    internal static long CpuBudget { get; set; } = 32 << 20;

    /// <summary>Rows of a chunk that are worth packing the weight for; twice as many where the weight's gradient is added up over the chunks.</summary>
    internal static long SmallestCpuChunk { get; set; } = 256;

    public override void Open(NodeAttributes node, ElementType[] inputTypes)
    {
        logits = new(node, inputTypes[0], false, turned);
        toHidden = new(node, inputTypes[0], false, !turned);
        toWeight = new(node, inputTypes[0], true, false);
    }

    public override void Close()
    {
        foreach (RuntimeGemm? product in new[] { logits, toHidden, toWeight }) product?.Dispose();
    }

    /// <summary>Rows whose label is ignored cost nothing: the others are put together before the products.</summary>
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor hidden = context.Input(0), weight = context.Input(1);
        CpuTensor? dy = context.OptionalInput(3), bias = context.OptionalInput(4);
        Sizes s = Fit(hidden, weight, context.Input(2), bias);
        var labels = new Labels<T>(context.Input(2), null, ignored, new Slices(s.Rows, s.Classes, 1));
        long[] counted = Counted(labels, s.Rows);
        T* loss = context.Output<T>(0), dx = null, dw = null, db = null;
        if (dy is not null)
        {
            dx = context.Output<T>(1, HiddenDims(hidden, s));
            dw = context.Output<T>(2, weight.Dims);
            db = context.Output<T>(3, s.Classes);
        }
        if (dx != null && counted.Length < s.Rows) Simd.Clear(dx, s.Rows * s.Width);
        if (dw != null && counted.Length == 0) Simd.Clear(dw, s.Width * s.Classes);
        if (db != null) Simd.Clear(db, s.Classes);
        T step = dy is null || counted.Length == 0 ? T.Zero : *dy.Value.Data<T>() / T.CreateChecked(counted.Length);
        var row = new RowOf<T>(s.Classes, bias is { } b ? b.Data<T>() : null, T.CreateChecked(scale), T.CreateChecked(softcap), step);
        long chunk = (s with { Rows = counted.Length }).Chunk(CpuBudget, sizeof(T), dw == null ? SmallestCpuChunk : 2 * SmallestCpuChunk);
        using var scratch = new CpuScratch(context, chunk * (s.Classes + s.Width) * sizeof(T));
        T* z = (T*)scratch.Data, packed = z + chunk * s.Classes;
        double[] losses = new double[counted.Length];
        for (long first = 0; first < counted.Length; first += chunk)
        {
            long count = Math.Min(chunk, counted.Length - first), begin = counted[first];
            bool together = counted[first + count - 1] == begin + count - 1;
            T* x = hidden.Data<T>() + begin * s.Width;
            if (!together)
            {
                for (long i = 0; i < count; i++) Simd.Copy(hidden.Data<T>() + counted[first + i] * s.Width, packed + i * s.Width, s.Width);
                x = packed;
            }
            logits!.Multiply(context, count, s.Classes, s.Width, x, weight.Data<T>(), z);
            long from = first;
            context.ForEachPart(count, 4 * s.Classes, (a, e) =>
            {
                for (long i = a; i < e; i++) losses[from + i] = row.Step(z + i * s.Classes, labels.Class(counted[from + i]));
            });
            if (db != null) AddRows(context, z, count, s.Classes, db);
            if (dw != null) toWeight!.Multiply(context, turned ? s.Classes : s.Width, turned ? s.Width : s.Classes, count, turned ? z : x, turned ? x : z, dw, add: first > 0);
            if (dx == null) continue;
            toHidden!.Multiply(context, count, s.Width, s.Classes, z, weight.Data<T>(), together ? dx + begin * s.Width : packed); // after the weight's: it writes over x
            for (long i = 0; i < count && !together; i++) Simd.Copy(packed + i * s.Width, dx + counted[first + i] * s.Width, s.Width);
        }
        *loss = T.CreateChecked(counted.Length == 0 ? 0 : losses.Sum() / counted.Length);
    }

    private static long[] Counted<T>(Labels<T> labels, long rows) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var counted = new List<long>((int)Math.Min(rows, int.MaxValue / 2));
        for (long i = 0; i < rows; i++) if (labels.Class(i) >= 0) counted.Add(i);
        return [.. counted];
    }

    /// <summary>sums += the rows.</summary>
    private static void AddRows<T>(CpuContext context, T* rows, long count, long length, T* sums) where T : unmanaged, IFloatingPointIeee754<T> =>
        context.ForEachPart(length, count, (from, to) =>
        {
            for (long i = 0; i < count; i++) Simd.Add(rows + i * length + from, sums + from, to - from);
        });

    /// <summary>What happens to a row of x·w: it becomes its own gradient.</summary>
    private readonly struct RowOf<T>(long classes, T* bias, T scale, T softcap, T step) where T : unmanaged, IFloatingPointIeee754<T>
    {
        public double Step(T* z, long label)
        {
            if (bias != null) Simd.Add(bias, z, classes);
            if (scale != T.One) Simd.Scale(scale, z, classes);
            if (softcap == T.Zero) return CrossEntropyStep.Row(z, z, classes, label, step * scale);
            T* tanh = (T*)NativeMemory.Alloc((nuint)classes, (nuint)sizeof(T));
            try
            {
                Simd.Map(new Tanh(), z, z, tanh, classes);
                Simd.Copy(tanh, z, classes);
                Simd.Scale(softcap, z, classes);
                double loss = CrossEntropyStep.Row(z, z, classes, label, step * scale * softcap);
                Simd.Map(new ThroughTanh(), z, tanh, z, classes);
                return loss;
            }
            finally
            {
                NativeMemory.Free(tanh);
            }
        }
    }

    /// <summary>tanh(x), exact to the last digits of 1.</summary>
    private readonly struct Tanh : IVectorFunction
    {
        public Vector<T> Of<T>(Vector<T> x, Vector<T> same) where T : unmanaged, IFloatingPointIeee754<T> =>
            Vector<T>.One - new Vector<T>(T.One + T.One) / (Simd.Exp(x + x) + Vector<T>.One);
    }

    /// <summary>dy · (1 − y²)</summary>
    private readonly struct ThroughTanh : IVectorFunction
    {
        public Vector<T> Of<T>(Vector<T> dy, Vector<T> y) where T : unmanaged, IFloatingPointIeee754<T> => dy * (Vector<T>.One - y * y);
    }
}
