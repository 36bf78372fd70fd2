using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Lift.Ort.Onnx;
using static Lift.Ort.Operators.OrtFunctions;

namespace Lift.Ort.Operators;

/// <summary>A tensor that a kernel was given; its memory is ONNX Runtime's and valid during the run.</summary>
internal readonly unsafe record struct CpuTensor(ElementType Type, long[] Dims, nint Address)
{
    public long Count => Product(Dims);

    public T* Data<T>() where T : unmanaged => (T*)Address;

    /// <summary>The elements of an int64 or int32 tensor.</summary>
    public long[] ToLongs()
    {
        var result = new long[Count];
        for (long i = 0; i < result.Length; i++) result[i] = Integer(i);
        return result;
    }

    /// <summary>Element <paramref name="index"/> of an int64 or int32 tensor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long Integer(long index) => Type == ElementType.Int32 ? ((int*)Address)[index] : ((long*)Address)[index];

    public static long Product(ReadOnlySpan<long> dims)
    {
        long product = 1;
        foreach (long d in dims) product = checked(product * d);
        return product;
    }
}

/// <summary>What a kernel sees during one run on the CPU: its inputs, its outputs, and the session's threads.</summary>
internal sealed unsafe class CpuContext(nint context)
{
    private static readonly delegate* unmanaged<nint, nuint*, nint> getInputCount = (delegate* unmanaged<nint, nuint*, nint>)Function("KernelContext_GetInputCount");
    private static readonly delegate* unmanaged<nint, nuint*, nint> getOutputCount = (delegate* unmanaged<nint, nuint*, nint>)Function("KernelContext_GetOutputCount");
    private static readonly delegate* unmanaged<nint, nuint, nint*, nint> getInput = (delegate* unmanaged<nint, nuint, nint*, nint>)Function("KernelContext_GetInput");
    private static readonly delegate* unmanaged<nint, nuint, long*, nuint, nint*, nint> getOutput = (delegate* unmanaged<nint, nuint, long*, nuint, nint*, nint>)Function("KernelContext_GetOutput");
    private static readonly delegate* unmanaged<nint, nint*, nint> getData = (delegate* unmanaged<nint, nint*, nint>)Function("GetTensorMutableData");
    private static readonly delegate* unmanaged<nint, nint*, nint> getMemoryInfo = (delegate* unmanaged<nint, nint*, nint>)Function("GetTensorMemoryInfo");
    private static readonly delegate* unmanaged<nint, int*, void> getDeviceType = (delegate* unmanaged<nint, int*, void>)Function("MemoryInfoGetDeviceType");
    private static readonly delegate* unmanaged<nint, nint*, nint> getTypeAndShape = (delegate* unmanaged<nint, nint*, nint>)Function("GetTensorTypeAndShape");
    private static readonly delegate* unmanaged<nint, int*, nint> getType = (delegate* unmanaged<nint, int*, nint>)Function("GetTensorElementType");
    private static readonly delegate* unmanaged<nint, nuint*, nint> getRank = (delegate* unmanaged<nint, nuint*, nint>)Function("GetDimensionsCount");
    private static readonly delegate* unmanaged<nint, long*, nuint, nint> getShape = (delegate* unmanaged<nint, long*, nuint, nint>)Function("GetDimensions");
    private static readonly delegate* unmanaged<nint, void> releaseTypeAndShape = (delegate* unmanaged<nint, void>)Function("ReleaseTensorTypeAndShapeInfo");
    private static readonly delegate* unmanaged<nint, delegate* unmanaged<nint, nuint, void>, nuint, nuint, nint, nint> parallelFor =
        (delegate* unmanaged<nint, delegate* unmanaged<nint, nuint, void>, nuint, nuint, nint, nint>)Function("KernelContext_ParallelFor");

    private readonly Dictionary<int, CpuTensor?> inputs = [];

    /// <summary>ONNX Runtime's name for the memory of the host.</summary>
    public static nint HostMemory { get; } = CreateHostMemory();

    /// <summary>ONNX Runtime's OrtKernelContext.</summary>
    public nint Handle => context;

    /// <summary>How many inputs the node lists; trailing optional ones may be missing.</summary>
    public int InputCount
    {
        get
        {
            nuint count;
            Ok(getInputCount(context, &count));
            return (int)count;
        }
    }

    public int OutputCount
    {
        get
        {
            nuint count;
            Ok(getOutputCount(context, &count));
            return (int)count;
        }
    }

    public CpuTensor Input(int index) => OptionalInput(index) ?? throw new ArgumentException($"input {index} is missing");

    /// <summary>The input, or null where the node leaves it out.</summary>
    public CpuTensor? OptionalInput(int index)
    {
        if (!inputs.TryGetValue(index, out CpuTensor? tensor)) inputs[index] = tensor = Fetch(index);
        return tensor;
    }

    /// <summary>False where the input's memory is a device's.</summary>
    public bool IsOnHost(int index)
    {
        nint value, info;
        int device;
        Ok(getInput(context, (nuint)index, &value));
        Ok(getMemoryInfo(value, &info));
        getDeviceType(info, &device);
        return device == 0;
    }

    /// <summary>Memory for output <paramref name="index"/> of these dimensions, not cleared; null where the node leaves the output out.</summary>
    public T* Output<T>(int index, params ReadOnlySpan<long> dims) where T : unmanaged
    {
        if (index >= OutputCount) return null;
        nint value, data;
        fixed (long* d = dims) Ok(getOutput(context, (nuint)index, d, (nuint)dims.Length, &value));
        if (value == 0) return null;
        Ok(getData(value, &data));
        return (T*)data;
    }

    /// <summary>
    /// Runs <paramref name="body"/>(from, to) over 0 … <paramref name="items"/> on the session's threads; <paramref name="itemCost"/> is the work of
    /// one item in elements touched: small work stays on this thread. The parts are the same in every run.
    /// </summary>
    public void ForEachPart(long items, long itemCost, Action<long, long> body) => ForEachPart(Parts(items, itemCost), items, (_, from, to) => body(from, to));

    /// <summary>Into how many parts <see cref="ForEachPart(long, long, Action{long, long})"/> divides the work.</summary>
    public static int Parts(long items, long itemCost) =>
        (int)Math.Clamp(Math.Min(items, items * itemCost / SmallestPart), 1, 2 * Environment.ProcessorCount);

    /// <summary>The same with a given number of parts; <paramref name="body"/> learns which part it is.</summary>
    public void ForEachPart(int parts, long items, Action<int, long, long> body)
    {
        if (parts <= 1)
        {
            body(0, 0, items);
            return;
        }
        var job = new Job(parts, items, body);
        GCHandle handle = GCHandle.Alloc(job);
        try
        {
            Ok(parallelFor(context, &RunPart, (nuint)parts, 0, GCHandle.ToIntPtr(handle)));
        }
        finally
        {
            handle.Free();
        }
        if (job.Error is { } error) ExceptionDispatchInfo.Throw(error);
    }

    private static nint CreateHostMemory()
    {
        nint info;
        Ok(((delegate* unmanaged<int, int, nint*, nint>)Function("CreateCpuMemoryInfo"))(0, 0, &info)); // OrtDeviceAllocator, OrtMemTypeDefault
        return info;
    }

    private const long SmallestPart = 16 * 1024;

    private CpuTensor? Fetch(int index)
    {
        if (index >= InputCount) return null;
        nint value, data, info;
        Ok(getInput(context, (nuint)index, &value));
        if (value == 0) return null;
        Ok(getTypeAndShape(value, &info));
        try
        {
            int type;
            nuint rank;
            Ok(getType(info, &type));
            Ok(getRank(info, &rank));
            long[] dims = new long[rank];
            fixed (long* d = dims) Ok(getShape(info, d, rank));
            Ok(getData(value, &data));
            return new CpuTensor((ElementType)type, dims, data);
        }
        finally
        {
            releaseTypeAndShape(info);
        }
    }

    [UnmanagedCallersOnly]
    private static void RunPart(nint data, nuint part)
    {
        var job = (Job)GCHandle.FromIntPtr(data).Target!;
        try
        {
            job.Run((long)part);
        }
        catch (Exception e)
        {
            job.Error ??= e;
        }
    }

    private sealed class Job(int parts, long items, Action<int, long, long> body)
    {
        public Exception? Error { get; set; }

        public void Run(long part) => body((int)part, items * part / parts, items * (part + 1) / parts);
    }
}
