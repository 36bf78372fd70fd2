using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions;

/// <summary>float32 numbers rounded to nearest even in 16 bits: <c>To[i] = Type(From[i])</c>; addresses in the device's memory.</summary>
internal readonly partial record struct Narrow(nint From, nint To, ElementType Type, long Count) : IKernel;
