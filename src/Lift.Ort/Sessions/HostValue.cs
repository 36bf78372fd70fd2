using Microsoft.ML.OnnxRuntime;
using Tensor = Lift.Ort.Onnx.Tensor;

namespace Lift.Ort.Sessions;

/// <summary>Tensors of ours as ONNX Runtime's values, and its outputs by name.</summary>
internal static unsafe class HostValue
{
    /// <summary>The tensor's memory seen as a value; the tensor must outlive it.</summary>
    public static OrtValue Of(Tensor tensor) => OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance,
        (Microsoft.ML.OnnxRuntime.Tensors.TensorElementType)(int)tensor.Type, tensor.Dims, (nint)tensor.Data, tensor.ByteLength);

    /// <summary>The outputs of the last run, each to be disposed of by its new owner.</summary>
    public static OrtValue[] Outputs(OrtIoBinding binding, IReadOnlyList<string> names)
    {
        var values = binding.GetOutputNames().Zip(binding.GetOutputValues()).ToDictionary(p => p.First, p => p.Second);
        return [.. names.Select(n => values[n])];
    }
}
