using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Devices.Cuda.Interop;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse.LinearAlgebra;

namespace Lift.Ort.Sparse;

/// <summary>
/// <see cref="LowRank"/> on a GPU: several matrices of one shape go through the iteration in lock-step, as the small factorizations would otherwise take
/// longer than the products. Row-major weights are seen as their column-major transposes; nothing is transposed in memory. With <see cref="LowRankOptions.Exact"/>
/// cuSOLVER's singular value decomposition takes the iteration's place.
/// </summary>
internal sealed unsafe class CudaLowRank(CudaDevice device, LowRankOptions options) : ILowRank
{
    /// <summary>Up to this size of the shorter side the whole eigenvalue decomposition is as fast as iterating.</summary>
    private const int SmallSide = 256;

    private const int MostMatrices = 16;
    private readonly CudaWorkspace memory = new(device);
    private readonly CudaBases bases = new(device);

    /// <summary>As many as a 32nd of the device's memory holds, up to 16: what is free now does not count unless it is too little, as the matrices of a batch touch each other's last bits.</summary>
    public int Batch(int rows, int columns, int rank)
    {
        long m = Math.Min(rows, columns), q = LowRank.Width(rank, (int)m);
        if (options.Exact || rank >= m || m <= SmallSide || q == m) return 1;
        long each = 4 * m * m + 36 * m * q + 32 * q * q;
        DeviceMemory there = device.Memory;
        return (int)Math.Clamp(Math.Min(there.Total / 32, memory.Held + there.Free / 2) / each, 1, MostMatrices);
    }

    public void Approximate(IReadOnlyList<LowRankTask> tasks, int rank, Action<int, LowRankResult> use)
    {
        var (rows, columns) = (tasks[0].Rows, tasks[0].Columns);
        int m = Math.Min(rows, columns), q = LowRank.Width(rank, m);
        float[] largest = LargestMagnitudes(tasks);
        if (rank >= m || largest.All(x => x == 0) || options.Exact || m <= SmallSide || q == m)
        {
            for (int i = 0; i < tasks.Count; i++) use(i, Alone(tasks[i], largest[i], rank, m));
            return;
        }
        CudaMatrix[] weights = [.. tasks.Select((t, i) => Comfortable(t, largest[i], i))];
        var iteration = new CudaSubspaceIteration(device, memory, bases, new(rows, columns, rank, q, tasks.Count), options);
        iteration.Run(weights, tasks);
        for (int i = 0; i < tasks.Count; i++)
        {
            if (largest[i] == 0)
            {
                use(i, Alone(tasks[i], 0, rank, m));
                continue;
            }
            nint a = Project(weights[i], rows, columns, iteration.Basis(i), rank, transposed: false);
            use(i, new LowRankResult(a, iteration.Bounds[i], iteration.Outers[i], iteration.Products, bases.Save(tasks[i].Name, iteration.Basis(i), q, m)));
        }
    }

    public void Approximate(LowRankTask task, int[] directions, Action<LowRankResult> use)
    {
        float largest = LargestMagnitudes([task])[0];
        use(largest == 0 ? new(AsFloat(task), 0, 0, 0) : Eigenvectors(task, Comfortable(task, largest, 0), directions));
    }

    public void Dispose() => memory.Dispose();

    private LowRankResult Alone(LowRankTask task, float largest, int rank, int m)
    {
        if (rank >= m || largest == 0) return new LowRankResult(AsFloat(task), 0, 0, 0);
        CudaMatrix weight = Comfortable(task, largest, 0);
        return options.Exact ? Singular(task, weight, rank) : Eigenvectors(task, weight, [.. Enumerable.Range(0, rank)]);
    }

    /// <summary>A through the eigenvectors of the float64 Gram matrix.</summary>
    private LowRankResult Eigenvectors(LowRankTask task, CudaMatrix weight, int[] directions)
    {
        var (rows, columns) = (task.Rows, task.Columns);
        int m = Math.Min(rows, columns), n = Math.Max(rows, columns);
        bool tall = rows > columns;
        nint wide = memory.Doubles("wide", (long)m * n), gram = memory.Doubles("gram64", (long)m * m), values = memory.Doubles("values", m), info = memory.Ints("info", 1);
        device.Launch("LowRank", "ToDouble", null, Grid.For((long)m * n, 4), Single(weight, task, "single").Data, wide, (long)m * n);
        CudaMatrix w = CudaMatrix.Double(wide, columns);
        device.Algebra.Multiply(!tall, tall, m, m, n, w, w, CudaMatrix.Double(gram, m));
        device.Algebra.SymmetricEigen(m, gram, values, 1, info);
        CheckInfo(info, task.Name, "eigenvalue");
        nint chosen = memory.Ints("directions", directions.Length), basis = memory.Floats("basis", (long)m * directions.Length);
        fixed (int* d = directions) device.Upload((byte*)d, chosen, directions.Length * sizeof(int));
        device.Launch("LowRank", "TakeColumns", null, Grid.For((long)m * directions.Length), gram, chosen, basis, m, directions.Length);
        return new LowRankResult(Project(weight, rows, columns, basis, directions.Length, transposed: false), 0, 0, 0);
    }

    /// <summary>A through cuSOLVER's singular value decomposition, which wants more rows than columns: a tall weight is transposed for it.</summary>
    private LowRankResult Singular(LowRankTask task, CudaMatrix weight, int rank)
    {
        var (rows, columns) = (task.Rows, task.Columns);
        int m = Math.Min(rows, columns), n = Math.Max(rows, columns);
        nint source = Single(weight, task, "single").Data, a = memory.Floats("svd", (long)m * n);
        if (rows > columns) device.Launch("LowRank", "Transpose", null, Grid.For((long)m * n, 4), source, a, columns, rows);
        else device.Copy(source, a, (long)m * n * sizeof(float));
        nint s = memory.Floats("s", m), u = memory.Floats("svd u", (long)n * m), vt = memory.Floats("vt", (long)m * m), info = memory.Ints("info", 1);
        device.Algebra.SingularValues(n, m, a, s, u, vt, info);
        CheckInfo(info, task.Name, "singular value");
        return new LowRankResult(Project(weight, rows, columns, vt, rank, transposed: true), 0, 0, 0);
    }

    /// <summary>U·(Uᵀ·W), or (W·U)·Uᵀ for a tall W, row-major. U is the first columns of <paramref name="basis"/> (m×…), or its first rows (m×m) where it is transposed.</summary>
    private nint Project(CudaMatrix weight, int rows, int columns, nint basis, int rank, bool transposed)
    {
        int m = Math.Min(rows, columns), n = Math.Max(rows, columns);
        CudaMatrix w = weight.Type == CuBlas.Float32 ? weight : memoryOf(weight), u = CudaMatrix.Float(basis, m);
        CudaMatrix b = CudaMatrix.Float(memory.Floats("inner", (long)n * rank), rows > columns ? rank : n), a = CudaMatrix.Float(memory.Floats("a", (long)m * n), columns);
        bool tf32 = device.Options.Tf32;
        if (rows > columns)
        {
            device.Algebra.Multiply(!transposed, false, rank, n, m, u, w, b, tf32: tf32);
            device.Algebra.Multiply(transposed, false, m, n, rank, u, b, a, tf32: tf32);
        }
        else
        {
            device.Algebra.Multiply(false, transposed, n, rank, m, w, u, b, tf32: tf32);
            device.Algebra.Multiply(false, !transposed, n, m, rank, b, u, a, tf32: tf32);
        }
        return a.Data;

        CudaMatrix memoryOf(CudaMatrix half)
        {
            nint single = memory.Floats("single", (long)m * n);
            device.Launch("Elements", "Widen", CudaTypes.Element(half.Type), Grid.For((long)m * n, 4), half.Data, single, 1f, (long)m * n);
            return CudaMatrix.Float(single, columns);
        }
    }

    /// <summary>max |w| of each matrix.</summary>
    /// <exception cref="LiftException">NaN or infinity is among them.</exception>
    private float[] LargestMagnitudes(IReadOnlyList<LowRankTask> tasks)
    {
        nint results = memory.Ints("largest", tasks.Count);
        device.Clear(results, tasks.Count * sizeof(uint));
        for (int i = 0; i < tasks.Count; i++)
        {
            Tensor w = tasks[i].Weight;
            device.Launch("Elements", "LargestMagnitude", w.Type, new Grid(Math.Min(4L * device.Processors, Grid.For(w.Count).Blocks), Grid.Block), (nint)w.Data, w.Count, results + i * sizeof(uint));
        }
        uint[] bits = device.Read<uint>(results, tasks.Count);
        for (int i = 0; i < bits.Length; i++)
        {
            if (bits[i] >= 0x7f800000) throw new LiftException($"Weight '{tasks[i].Name}' holds NaN or infinity, so it has no low-rank approximation; start again from a sound model or lower the learning rate.");
        }
        return Array.ConvertAll(bits, BitConverter.UInt32BitsToSingle);
    }

    /// <summary>The weight where it lies, or a float32 copy scaled by a power of two where squares would leave float32's range; scaling does not move the selection.</summary>
    private CudaMatrix Comfortable(LowRankTask task, float largest, int index)
    {
        if (largest is > 1e-12f and < 1e12f or 0) return new CudaMatrix((nint)task.Weight.Data, CudaTypes.Of(task.Weight.Type), task.Columns);
        return Scaled(task, MathF.ScaleB(1, Math.Clamp(-MathF.ILogB(largest), -126, 126)), $"scaled{index}");
    }

    private CudaMatrix Scaled(LowRankTask task, float scale, string name)
    {
        nint copy = memory.Floats(name, task.Weight.Count);
        device.Launch("Elements", "Widen", task.Weight.Type, Grid.For(task.Weight.Count, 4), (nint)task.Weight.Data, copy, scale, task.Weight.Count);
        return CudaMatrix.Float(copy, task.Columns);
    }

    private CudaMatrix Single(CudaMatrix weight, LowRankTask task, string name) => weight.Type == CuBlas.Float32 ? weight : Scaled(task, 1, name);

    private nint AsFloat(LowRankTask task) => task.Weight.Type == ElementType.Float ? (nint)task.Weight.Data : Scaled(task, 1, "single").Data;

    private void CheckInfo(nint info, string name, string what)
    {
        int result = device.Read<int>(info, 1)[0];
        if (result != 0) throw new CudaException($"cuSOLVER's {what} decomposition of '{name}' ended with info {result}");
    }
}

/// <summary>cudaDataType and ONNX's element types.</summary>
internal static class CudaTypes
{
    public static int Of(ElementType type) => type switch
    {
        ElementType.Float16 => CuBlas.Float16,
        ElementType.BFloat16 => CuBlas.BFloat16,
        _ => CuBlas.Float32,
    };

    public static ElementType Element(int type) => type switch
    {
        CuBlas.Float16 => ElementType.Float16,
        CuBlas.BFloat16 => ElementType.BFloat16,
        _ => ElementType.Float,
    };
}
