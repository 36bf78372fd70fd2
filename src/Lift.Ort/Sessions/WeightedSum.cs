using Lift.Ort.Devices;

namespace Lift.Ort.Sessions;

/// <summary><c>Sum[i] += Share · Term[i]</c>; the first term overwrites what was there.</summary>
internal readonly partial record struct WeightedSum(DeviceBuffer<float> Sum, DeviceBuffer<float> Term, float Share, bool First) : IKernel;
