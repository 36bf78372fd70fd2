using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators.Recurrent;

/// <summary>struct Layer of Recurrent.cu, by value.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CudaLayer
{
    private readonly nint lengths;
    private readonly long steps, batch, hidden;
    private readonly int directions, reverse;
    private readonly float clip;
    private readonly int inputForget;
    private Functions functions;

    public CudaLayer(RecurrentLayer layer, CpuTensor x, nint lengths)
    {
        (this.lengths, steps, batch, hidden) = (lengths, x.Dims[0], x.Dims[1], layer.Hidden);
        (directions, reverse) = ((int)layer.Directions, layer.Direction switch { "reverse" => 1, "bidirectional" => 2, _ => 0 });
        (clip, inputForget) = ((float)layer.Clip, layer.InputForget ? 1 : 0);
        for (int d = 0; d < directions; d++)
        {
            for (int i = 0; i < layer.PerDirection; i++) functions[(3 * d) + i] = new(layer.Function(d, i), layer.Clip);
        }
    }

    private readonly struct Function(RecurrentActivation f, double clip)
    {
        private readonly int kind = f.Kind;
        private readonly float alpha = (float)f.Alpha, beta = (float)f.Beta, low = (float)f.Of(-clip), high = (float)f.Of(clip);
    }

    [InlineArray(6)]
    private struct Functions
    {
        private Function first;
    }
}

/// <summary>What the recurrent operators share on a GPU. Their working memory is float32; 16-bit weights are widened once a run, so that the state is not rounded at every step.</summary>
internal sealed unsafe class CudaRecurrence(CudaContext context, RecurrentLayer layer, CpuTensor x, nint lengths, int gates)
{
    private readonly CudaLayer native = new(layer, x, lengths);

    public long Steps => x.Dims[0];

    public long Batch => x.Dims[1];

    public long Inputs => x.Dims[2];

    /// <summary>Steps · batch.</summary>
    public long Rows => Steps * Batch;

    /// <summary>Directions · batch · hidden.</summary>
    public long Units => layer.Directions * Batch * layer.Hidden;

    /// <summary>Bytes of a widened copy; none where the numbers are float32 already.</summary>
    public long Widened(long count) => x.Type == ElementType.Float ? 0 : count * sizeof(float);

    /// <summary>A kernel of Recurrent.cu with one thread per unit; the layer and <paramref name="last"/> follow the addresses.</summary>
    public void Launch(string kernel, ReadOnlySpan<nint> addresses, params ReadOnlySpan<KernelArgument> last) => Launch(kernel, Units, addresses, last);

    /// <summary>The same for another number of threads.</summary>
    public void Launch(string kernel, long threads, ReadOnlySpan<nint> addresses, params ReadOnlySpan<KernelArgument> last)
    {
        if (threads == 0) return;
        CudaLayer copy = native;
        var arguments = new KernelArgument[addresses.Length + 1 + last.Length];
        for (int i = 0; i < addresses.Length; i++) arguments[i] = addresses[i];
        arguments[addresses.Length] = KernelArgument.Of(&copy);
        last.CopyTo(arguments.AsSpan(addresses.Length + 1));
        context.Launch("Recurrent", kernel, x.Type, Grid.For(threads), arguments);
    }

    /// <summary>An input as float32: itself, or a copy at <paramref name="to"/>.</summary>
    public nint Widen(nint from, nint to, long count)
    {
        if (x.Type == ElementType.Float) return from;
        if (count > 0) context.Launch("Widen", "WidenAll", x.Type, Grid.For(count, perThread: 8), from, to, count);
        return to;
    }

    /// <summary>A state [directions, batch, hidden] as float32 at <paramref name="to"/>; zeros where it is not given.</summary>
    public void Start(nint from, nint to)
    {
        if (from == 0) context.Fill(to, 0, Units * sizeof(float));
        else if (x.Type == ElementType.Float) context.Copy(from, to, Units * sizeof(float));
        else Widen(from, to, Units);
    }

    /// <summary>x · Wᵀ of all directions: [directions, steps, batch, gates · hidden].</summary>
    public void Project(nint w, nint xw)
    {
        long wide = gates * layer.Hidden;
        context.Multiply(Rows, wide, Inputs, new(x.Address, x.Type, Inputs), new(w, x.Type, Inputs, wide * Inputs, Transposed: true), new(xw, ElementType.Float, wide, Rows * wide), layer.Directions);
    }

    /// <summary>
    /// A product of float32 matrices, one per direction: c [m, n] = a · b. The matrices of a lie m · <paramref name="rowA"/> apart or, transposed, k · <paramref name="rowA"/>; those of b, <paramref name="nextB"/>.
    /// </summary>
    public void Multiply(long m, long n, long k, nint a, long rowA, nint b, long rowB, long nextB, nint c, long rowC, long nextC, bool transposeA = false, bool transposeB = false, bool add = false) =>
        context.Multiply(m, n, k, new(a, ElementType.Float, rowA, (transposeA ? k : m) * rowA, transposeA), new(b, ElementType.Float, rowB, nextB, transposeB), new(c, ElementType.Float, rowC, nextC), layer.Directions, add);

    /// <summary>Lets <paramref name="make"/> write float32 numbers: into the output itself, or into <paramref name="room"/>, from where they are rounded. Nothing where the node leaves the output out.</summary>
    public void Result(nint output, nint room, long count, Action<nint> make)
    {
        if (output == 0) return;
        bool narrow = x.Type != ElementType.Float;
        make(narrow ? room : output);
        if (narrow) context.Narrow(room, output, x.Type, count);
    }

    /// <summary>dx = Σ over directions of dgates · W; all float32.</summary>
    public void InputGradient(nint dGates, nint w, nint dx)
    {
        long wide = gates * layer.Hidden;
        for (long d = 0; d < layer.Directions; d++)
            context.Multiply(Rows, Inputs, wide, new(dGates + (nint)(d * Rows * wide * sizeof(float)), ElementType.Float, wide), new(w + (nint)(d * wide * Inputs * sizeof(float)), ElementType.Float, Inputs),
                new(dx, ElementType.Float, Inputs), add: d > 0);
    }

    /// <summary>y[d, i] = Σ over the rows of x [directions, rows, width]; once more at second + i for i &lt; repeated.</summary>
    public void SumRows(nint from, nint y, long rows, long width, long step, long second = 0, long repeated = 0)
    {
        if (y != 0) context.Launch("Recurrent", "SumRows", x.Type, new Grid(layer.Directions * ((width + 31) / 32), Grid.Block), from, y, rows, width, step, second, repeated);
    }
}
