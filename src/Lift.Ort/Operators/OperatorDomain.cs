using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda;
using Microsoft.ML.OnnxRuntime;
using static Lift.Ort.Operators.OrtFunctions;

namespace Lift.Ort.Operators;

/// <summary>
/// Operators written in C#, as ONNX Runtime sees them: a native struct of callbacks for each choice of types. It lives as long as the process,
/// because ONNX Runtime keeps pointers into it while any session lives; every session shares it.
/// </summary>
internal sealed unsafe class OperatorDomain
{
    private static readonly delegate* unmanaged<byte*, nint*, nint> createDomain = (delegate* unmanaged<byte*, nint*, nint>)Function("CreateCustomOpDomain");
    private static readonly delegate* unmanaged<nint, CustomOperatorStruct*, nint> addOperator = (delegate* unmanaged<nint, CustomOperatorStruct*, nint>)Function("CustomOpDomain_Add");
    private static readonly delegate* unmanaged<nint, nint, nint> addDomain = (delegate* unmanaged<nint, nint, nint>)Function("AddCustomOpDomain");

    private const int CpuInput = -2; // OrtMemTypeCPUInput

    private readonly nint domain;

    /// <param name="device">The GPU whose halves are among the overloads, or null.</param>
    public OperatorDomain(string name, IEnumerable<OperatorOverload> overloads, CudaDevice? device = null)
    {
        nint created;
        Ok(createDomain((byte*)Marshal.StringToCoTaskMemUTF8(name), &created));
        domain = created;
        foreach (OperatorOverload overload in overloads) Ok(addOperator(domain, Native(overload, overload.Device is null ? null : device?.OperatorProvider)));
    }

    public void AddTo(SessionOptions options)
    {
        Ok(addDomain(options.DangerousGetHandle(), domain));
        GC.KeepAlive(options);
    }

    private static CustomOperatorStruct* Native(OperatorOverload overload, string? provider)
    {
        var native = (CustomOperatorStruct*)NativeMemory.AllocZeroed((nuint)sizeof(CustomOperatorStruct));
        native->Version = ApiVersion;
        native->Overload = GCHandle.ToIntPtr(GCHandle.Alloc(overload));
        native->Name = Marshal.StringToCoTaskMemUTF8(overload.Schema.Name);
        native->Provider = provider is null ? 0 : Marshal.StringToCoTaskMemUTF8(provider);
        native->GetName = (nint)(delegate* unmanaged<CustomOperatorStruct*, nint>)&GetName;
        native->GetExecutionProviderType = (nint)(delegate* unmanaged<CustomOperatorStruct*, nint>)&GetProvider;
        native->GetInputType = (nint)(delegate* unmanaged<CustomOperatorStruct*, nuint, int>)&InputType;
        native->GetInputTypeCount = (nint)(delegate* unmanaged<CustomOperatorStruct*, nuint>)&InputCount;
        native->GetOutputType = (nint)(delegate* unmanaged<CustomOperatorStruct*, nuint, int>)&OutputType;
        native->GetOutputTypeCount = (nint)(delegate* unmanaged<CustomOperatorStruct*, nuint>)&OutputCount;
        native->GetInputCharacteristic = (nint)(delegate* unmanaged<CustomOperatorStruct*, nuint, int>)&InputPresence;
        native->GetOutputCharacteristic = (nint)(delegate* unmanaged<CustomOperatorStruct*, nuint, int>)&OutputPresence;
        native->GetInputMemoryType = (nint)(delegate* unmanaged<CustomOperatorStruct*, nuint, int>)&InputMemory;
        native->GetVariadicInputMinArity = native->GetVariadicOutputMinArity = (nint)(delegate* unmanaged<CustomOperatorStruct*, int>)&One;
        native->GetVariadicInputHomogeneity = native->GetVariadicOutputHomogeneity = (nint)(delegate* unmanaged<CustomOperatorStruct*, int>)&Homogeneous;
        native->GetStartVersion = (nint)(delegate* unmanaged<CustomOperatorStruct*, int>)&One;
        native->GetEndVersion = (nint)(delegate* unmanaged<CustomOperatorStruct*, int>)&LastVersion;
        native->CreateKernelV2 = (nint)(delegate* unmanaged<CustomOperatorStruct*, nint, nint, nint*, nint>)&CreateKernel;
        native->KernelComputeV2 = (nint)(delegate* unmanaged<nint, nint, nint>)&Compute;
        native->KernelDestroy = (nint)(delegate* unmanaged<nint, void>)&Destroy;
        if (overload.Schema.InPlace is { } input)
        {
            native->GetMayInplace = input == 0 ? (nint)(delegate* unmanaged<int**, int**, nuint>)&FirstInputInPlace : (nint)(delegate* unmanaged<int**, int**, nuint>)&SecondInputInPlace;
            native->ReleaseMayInplace = (nint)(delegate* unmanaged<int*, int*, void>)&ReleaseMap;
        }
        if (overload.Schema.Aliased)
        {
            native->GetAliasMap = (nint)(delegate* unmanaged<int**, int**, nuint>)&FirstInputInPlace;
            native->ReleaseAliasMap = (nint)(delegate* unmanaged<int*, int*, void>)&ReleaseMap;
        }
        return native;
    }

    private static OperatorOverload Of(CustomOperatorStruct* op) => (OperatorOverload)GCHandle.FromIntPtr(op->Overload).Target!;

    [UnmanagedCallersOnly]
    private static nint GetName(CustomOperatorStruct* op) => op->Name;

    [UnmanagedCallersOnly]
    private static nint GetProvider(CustomOperatorStruct* op) => op->Provider;

    [UnmanagedCallersOnly]
    private static nuint InputCount(CustomOperatorStruct* op) => (nuint)Of(op).InputTypes.Length;

    [UnmanagedCallersOnly]
    private static nuint OutputCount(CustomOperatorStruct* op) => (nuint)Of(op).OutputTypes.Length;

    [UnmanagedCallersOnly]
    private static int InputType(CustomOperatorStruct* op, nuint index) => (int)Of(op).InputTypes[(int)index];

    [UnmanagedCallersOnly]
    private static int OutputType(CustomOperatorStruct* op, nuint index) => (int)Of(op).OutputTypes[(int)index];

    [UnmanagedCallersOnly]
    private static int InputPresence(CustomOperatorStruct* op, nuint index) => (int)Of(op).Schema.Inputs[(int)index].Presence;

    [UnmanagedCallersOnly]
    private static int OutputPresence(CustomOperatorStruct* op, nuint index) => (int)Of(op).Schema.Outputs[(int)index].Presence;

    [UnmanagedCallersOnly]
    private static int InputMemory(CustomOperatorStruct* op, nuint index) => op->Provider != 0 && Of(op).Schema.HostInputs.Contains((int)index) ? CpuInput : 0;

    [UnmanagedCallersOnly]
    private static int One(CustomOperatorStruct* op) => 1;

    /// <summary>Repeated parameters of type "any" may differ from each other.</summary>
    [UnmanagedCallersOnly]
    private static int Homogeneous(CustomOperatorStruct* op) => Of(op).InputTypes is [.., Onnx.ElementType.Undefined] ? 0 : 1;

    [UnmanagedCallersOnly]
    private static int LastVersion(CustomOperatorStruct* op) => int.MaxValue;

    [UnmanagedCallersOnly]
    private static nint CreateKernel(CustomOperatorStruct* op, nint api, nint info, nint* kernel)
    {
        OperatorSchema schema = Of(op).Schema;
        try
        {
            var node = new NodeAttributes(info);
            OperatorKernel made = schema.Create(node);
            if (Of(op).Device is null) made.Open(node, Of(op).InputTypes);
            *kernel = GCHandle.ToIntPtr(GCHandle.Alloc(new NodeKernel($"{schema.Name} '{node.NodeName}'", made, Of(op).Device)));
            return 0;
        }
        catch (Exception e)
        {
            return Status($"{schema.Name}: {e.Message}");
        }
    }

    /// <summary>No exception may cross into native code: it becomes the run's error.</summary>
    [UnmanagedCallersOnly]
    private static nint Compute(nint kernel, nint context)
    {
        var node = (NodeKernel)GCHandle.FromIntPtr(kernel).Target!;
        try
        {
            if (node.Device is { } device) ((ICudaKernel)node.Kernel).Run(new CudaContext(context, device));
            else node.Kernel.Run(new CpuContext(context));
            return 0;
        }
        catch (Exception e)
        {
            return Status($"{node.Name}: {e.Message}");
        }
    }

    [UnmanagedCallersOnly]
    private static void Destroy(nint kernel)
    {
        GCHandle handle = GCHandle.FromIntPtr(kernel);
        ((NodeKernel)handle.Target!).Kernel.Close();
        handle.Free();
    }

    [UnmanagedCallersOnly]
    private static nuint FirstInputInPlace(int** inputs, int** outputs) => Pair(0, inputs, outputs);

    [UnmanagedCallersOnly]
    private static nuint SecondInputInPlace(int** inputs, int** outputs) => Pair(1, inputs, outputs);

    private static nuint Pair(int input, int** inputs, int** outputs)
    {
        *inputs = (int*)NativeMemory.AllocZeroed(sizeof(int));
        *outputs = (int*)NativeMemory.AllocZeroed(sizeof(int));
        **inputs = input;
        return 1;
    }

    [UnmanagedCallersOnly]
    private static void ReleaseMap(int* inputs, int* outputs)
    {
        NativeMemory.Free(inputs);
        NativeMemory.Free(outputs);
    }

    private sealed record NodeKernel(string Name, OperatorKernel Kernel, CudaDevice? Device);
}
