using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;
using Lift.Ort.Tests.Devices;
using Lift.Ort.Tests.Sparse;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

/// <summary>Steps that are queued before the host knows how the last one went.</summary>
[TestClass]
public sealed class QueuedStepsTests
{
    /// <summary>The device leaves a bad step out, and those behind it, and clips by the norm as the host does.</summary>
    [TestMethod, AllDevices]
    public void A_verdict_clips_and_stops_on_the_device(string name)
    {
        using IDevice device = TestDevice.Open(name);
        float[] start = Numbers.Normal(1000, 1), g = Numbers.Normal(1000, 2), nan = [.. g];
        nan[777] = float.NaN;
        using DeviceBuffer<float> gradient = device.Put(g), bad = device.Put(nan), losses = device.Put(3f, 4f), badLosses = device.Put(3f, float.PositiveInfinity);
        using DeviceBuffer<double> verdict = device.Put(0.0, 1.0, 0.0, 0.0);
        foreach (ElementType type in new[] { ElementType.Float, ElementType.BFloat16 })
        {
            Tensor expected = device.Put(Weight(type, start)), actual = device.Put(Weight(type, start));
            using Optimizer host = Optimizer(device, expected), queued = Optimizer(device, actual);
            host.Step(gradient, 0.1);
            Assert.AreEqual((true, 0), Step(losses, gradient, sticky: false));
            CollectionAssert.AreEqual(Bytes(expected), Bytes(actual), $"{type}: clipped by the verdict's norm");

            Assert.AreEqual((false, 0), Step(losses, bad, sticky: true));
            Assert.AreEqual((false, 0), Step(losses, gradient, sticky: true)); // behind a bad one
            Assert.AreEqual((false, 0), Step(badLosses, gradient, sticky: false));
            CollectionAssert.AreEqual(Bytes(expected), Bytes(actual), $"{type}: left out");
            CollectionAssert.AreEqual(host.Moments.First.Get(), queued.Moments.First.Get());

            queued.Steps = 1;
            host.Step(gradient, 0.1);
            Assert.AreEqual((true, 0), Step(losses, gradient, sticky: false));
            CollectionAssert.AreEqual(Bytes(expected), Bytes(actual), $"{type}: goes on");

            (bool Good, int Wrong) Step(DeviceBuffer<float> loss, DeviceBuffer<float> of, bool sticky)
            {
                device.Run(new StepVerdict(loss, of, verdict, sticky));
                Later<double> later = device.Fetch(verdict);
                queued.Step(of, 0.1, verdict);
                double[] said = later.Wait();
                double squares = of == bad ? double.NaN : g.Sum(x => (double)x * x);
                return (said[StepVerdict.Good] != 0, (Math.Abs(said[StepVerdict.Squares] - squares) > 1e-9 * squares ? 1 : 0) + (said[2] == 3 && said[3] == (loss == losses ? 4 : double.PositiveInfinity) ? 0 : 1));
            }
        }

        byte[] Bytes(Tensor weight) => device.Get(weight).AsSpan<byte>().ToArray();
    }

    /// <summary>Numbers fetched late are those of the moment, whatever is queued behind.</summary>
    [TestMethod, AllDevices]
    public void Fetched_numbers_are_of_the_moment(string name)
    {
        using IDevice device = TestDevice.Open(name);
        using DeviceBuffer<double> buffer = device.Allocate<double>(2);
        var fetched = new List<Later<double>>();
        for (int i = 0; i < 5; i++)
        {
            buffer.CopyFrom([i, -i]);
            fetched.Add(device.Fetch(buffer));
        }
        foreach (var (i, later) in fetched.Index()) CollectionAssert.AreEqual(new double[] { i, -i }, later.Wait());
        CollectionAssert.AreEqual(new double[] { 4, -4 }, device.Fetch(buffer).Wait());
    }

    /// <summary>A learning rate that ruins the run: it stops at the same step as on the CPU, and what was queued behind has changed nothing.</summary>
    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void A_run_that_diverges_is_saved_before_it_did(string name)
    {
        using var tiny = new TinyRun();
        using IDevice device = TestDevice.Open(name);
        TrainingOptions options = TinyRun.Options with { Steps = 30, LearningRate = 1e30, Warmup = 0, Interval = 0, Schedule = ScheduleKind.Constant };
        string expected = Assert.ThrowsExactly<LiftException>(() => tiny.Train("cpu", options)).Message, actual = Assert.ThrowsExactly<LiftException>(() => tiny.Train("gpu", options, on: device)).Message;
        StringAssert.Contains(expected, "diverged at step");
        Assert.AreEqual(expected[..expected.IndexOf(':')], actual[..actual.IndexOf(':')]);
        Checkpoint State(string run) => Checkpoint.Read(Path.Combine(tiny[run], RunFolder.CheckpointName));
        Assert.AreEqual(State("cpu").Step, State("gpu").Step);
        Assert.AreEqual(State("cpu").Tokens, State("gpu").Tokens);
        var (cpu, gpu) = (tiny.Weights("cpu"), tiny.Weights("gpu"));
        float[] a = [.. cpu.Values.SelectMany(v => v)], b = [.. cpu.Keys.SelectMany(w => gpu[w])];
        Assert.IsTrue(b.All(float.IsFinite));
        Assert.IsGreaterThan(0.98, (double)a.Zip(b, (x, y) => Math.Abs(x - y) <= 1e-2 * Math.Abs(x) ? 1 : 0).Sum() / a.Length, "the weights of the last good step"); // signs of gradients near 0 may differ
    }

    private static Tensor Weight(ElementType type, float[] values)
    {
        Tensor weight = Tensor.Empty("w", type, [values.Length]);
        for (int i = 0; i < values.Length; i++)
        {
            if (type == ElementType.Float) weight.AsSpan<float>()[i] = values[i];
            else weight.AsSpan<ushort>()[i] = HalfPrecision.Round(values[i], type);
        }
        return weight;
    }

    private static Optimizer Optimizer(IDevice device, Tensor weight)
    {
        var optimizer = new Optimizer(device, [weight], new AdamWOptions { ClipNorm = 0.5 });
        optimizer.SetMasks([new Mask(weight.Name, weight.Dims, null)]);
        return optimizer;
    }
}
