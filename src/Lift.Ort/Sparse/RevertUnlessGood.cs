using Lift.Ort.Devices;

namespace Lift.Ort.Sparse;

/// <summary>
/// Undoes on the device what a step has done beside its weights, where its <see cref="StepVerdict"/> is not good: <c>Now</c> becomes <c>Before</c> again. Steps that
/// were queued behind a bad one undo theirs as well, so that all is as it was before the bad one, whenever the host learns of it.
/// </summary>
/// <param name="Now">A multiple of 4 bytes.</param>
/// <param name="Before">As long.</param>
internal readonly partial record struct RevertUnlessGood(DeviceBuffer<double> Verdict, DeviceBuffer<byte> Now, DeviceBuffer<byte> Before) : IKernel;
