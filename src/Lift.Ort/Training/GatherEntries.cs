using Lift.Ort.Devices;
using Lift.Ort.Sparse;

namespace Lift.Ort.Training;

/// <summary>
/// Takes the selected entries out of dense gradients: <c>Compact[s.Offset + i] = Dense[Starts[s] + position i of segment s]</c>. Only selections
/// that rank by gradients need it; for all others the graph gives out the compact vector itself.
/// </summary>
internal readonly partial record struct GatherEntries(Segment[] Segments, DeviceBuffer<float> Dense, long[] Starts, DeviceBuffer<float> Compact) : IKernel;
