using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse;

/// <summary><c>Master[s.Master + i]</c> = entry i of segment s, as float32, for all segments of 16-bit weights.</summary>
internal readonly partial record struct ReadMasters(Segment[] Segments, DeviceBuffer<float> Master) : IKernel;

/// <summary>
/// Brings moments to new masks of the same weights: entries that both masks have keep m, v and master; the new moments must be zero, and the new
/// masters the weights' values, before.
/// </summary>
internal readonly partial record struct CarryMoments(Moments From, Moments To) : IKernel;

/// <summary>
/// Copies the bits of selected entries out of a weight (<paramref name="Out"/>) or into it: <c>Entries[i] ⇄ Weight[Positions[i]]</c>. Size is that of an entry, 2 or 4 bytes.
/// </summary>
internal readonly partial record struct CopyEntries(nint Weight, int Size, DeviceBuffer<int> Positions, DeviceBuffer<byte> Entries, bool Out) : IKernel;

/// <summary>A float32, float16 or bfloat16 weight as float32.</summary>
internal readonly partial record struct Widen(nint Weight, ElementType Type, DeviceBuffer<float> Result) : IKernel;

/// <summary>Adds one step's dense gradient of a weight to a statistic of its entries; <paramref name="Steps"/> counts this one.</summary>
internal readonly partial record struct AddStatistic(Statistic Kind, nint Values, nint Gradient, Tensor Weight, int Steps) : IKernel;
