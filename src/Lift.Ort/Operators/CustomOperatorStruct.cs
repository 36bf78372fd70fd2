using System.Runtime.InteropServices;

namespace Lift.Ort.Operators;

/// <summary>OrtCustomOp of onnxruntime_c_api.h, field by field in its order; what ours needs stands behind it, as a C++ subclass would have it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CustomOperatorStruct
{
    public uint Version;
    public nint CreateKernel, GetName, GetExecutionProviderType, GetInputType, GetInputTypeCount, GetOutputType, GetOutputTypeCount;
    public nint KernelCompute, KernelDestroy, GetInputCharacteristic, GetOutputCharacteristic, GetInputMemoryType;
    public nint GetVariadicInputMinArity, GetVariadicInputHomogeneity, GetVariadicOutputMinArity, GetVariadicOutputHomogeneity;
    public nint CreateKernelV2, KernelComputeV2, InferOutputShape, GetStartVersion, GetEndVersion;
    public nint GetMayInplace, ReleaseMayInplace, GetAliasMap, ReleaseAliasMap;

    /// <summary>GCHandle of the <see cref="OperatorOverload"/>.</summary>
    public nint Overload;

    /// <summary>The operator's name, zero-terminated UTF-8.</summary>
    public nint Name;

    /// <summary>The execution provider's name in the same form; 0: the CPU's.</summary>
    public nint Provider;
}
