using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;
using Lift.Ort.Tests.Devices;
using Lift.Ort.Tests.Devices.Cuda;
using Lift.Ort.Tests.Training;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Sparse;

/// <summary>What a refresh asks of a GPU: how often the host waits, and what travels.</summary>
[TestClass]
public sealed class RefreshCallsTests
{
    /// <summary>A batch of matrices of one shape waits once for their magnitudes, once per round for the bounds, and once for each one's positions, which the host takes while the device goes on.</summary>
    [TestMethod]
    public void A_batch_waits_once_a_round()
    {
        const int Rows = 264, Columns = 270, Count = 3;
        using IDevice device = TestDevice.Open("simulated");
        Tensor[] weights = [.. Enumerable.Range(0, Count).Select(i => device.Put(Tensor.From<float>($"w{i}", Numbers.WithSpectrum(Rows, Columns, i, Numbers.PowerLaw), Rows, Columns)))];
        using var selector = new MaskSelector(new SelectionOptions { FilterRank = 8, Budget = Budget.Density(0.05) }, device);
        Refresh first = Counted(0, null, out GpuCalls cold);
        Refresh second = Counted(1, first.Masks, out GpuCalls warm);
        foreach (var (mask, again) in first.Masks.Zip(second.Masks)) Assert.IsGreaterThan(0.98, mask.Overlap(again));
        Assert.IsGreaterThan(0, first.Total.Outers);
        Check(first, cold, "cold");
        Check(second, warm, "warm");
        Assert.AreEqual(Count, warm.ToDevice - second.Total.Outers, $"the bases, and one copy a round with the filters' numbers: {warm}");

        Refresh Counted(int refresh, IReadOnlyList<Mask>? previous, out GpuCalls calls)
        {
            GpuCalls before = SimulatedGpu.Calls;
            Refresh result = selector.Select(weights, refresh, previous);
            calls = SimulatedGpu.Calls - before;
            return result;
        }

        static void Check(Refresh refresh, GpuCalls calls, string what)
        {
            int rounds = refresh.Total.Outers + 1; // one before the first filter
            Assert.AreEqual(1 + rounds + (2 * Count), calls.ToHost, $"{what}: magnitudes, bounds, positions and bases of {rounds - 1} rounds: {calls}");
            Assert.AreEqual(1 + rounds + Count, calls.Waits, $"{what}: {calls}");
        }
    }

    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void Positions_lie_once_on_the_device(string name)
    {
        using var tiny = new TinyRun();
        using IDevice device = TestDevice.Open(name);
        using TrainingSession session = TrainingSession.Open(ArtifactFolder.Open(tiny.Artifacts), device);
        using var optimizer = new Optimizer(device, [.. session.Weights.Select(w => w.Value)]);
        using var entries = new EntryChoice(session, device, optimizer, TinyRun.Options);
        for (int refresh = 0; refresh < 2; refresh++)
        {
            entries.Choose();
            Assert.HasCount(session.Weights.Count, session.Slices);
            foreach (var (slice, segment) in session.Slices.Zip(optimizer.Moments.Segments))
            {
                Assert.AreEqual(segment.Positions, slice.Positions?.Pointer ?? 0, slice.Weight.Name);
                if (slice.Positions is { } positions) CollectionAssert.AreEqual(entries.Masks.Single(m => m.Weight == slice.Weight.Name).Positions, positions.Get());
            }
        }
    }
}
