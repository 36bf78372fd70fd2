using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Devices;
using Lift.Ort.Tests.Devices.Cuda;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

/// <summary>Whole runs on every device: they follow the CPU's, resume bit for bit, and give back their memory.</summary>
[TestClass]
public sealed class RunsOnDevicesTests
{
    [TestMethod, AllDevices]
    public void A_run_follows_the_cpus(string name)
    {
        foreach (ElementType type in new[] { ElementType.Float, ElementType.BFloat16 })
        {
            using var tiny = new TinyRun(type);
            foreach (string selection in type == ElementType.Float ? new[] { "lift", "movement", "full" } : ["lift"])
            {
                TrainingOptions options = TinyRun.Options with { Selection = selection, Optimizer = new() { ClipNorm = 1 } };
                tiny.Train($"expected-{selection}", options);
                using (IDevice device = TestDevice.Open(name)) tiny.Train($"actual-{selection}", options, on: device);
                StepDone[] expected = Steps($"expected-{selection}"), actual = Steps($"actual-{selection}");
                Assert.HasCount(expected.Length, actual);
                foreach (var (e, a) in expected.Zip(actual))
                {
                    double tolerance = device16(name, type) ? 0.05 : 1e-3;
                    Assert.AreEqual(e.Loss, a.Loss, tolerance * e.Loss, $"{type} {selection}, step {e.Step}");
                    Assert.AreEqual(e.GradNorm, a.GradNorm, 10 * tolerance * e.GradNorm, $"{type} {selection}, step {e.Step}");
                }
            }
            StepDone[] Steps(string run) => [.. RunLog.Read(Path.Combine(tiny[run], RunFolder.LogName)).OfType<StepDone>()];
        }

        // A real GPU computes 16-bit models in 16 bits, the CPU and its stand-in in float32.
        static bool device16(string name, ElementType type) => name.StartsWith("cuda", StringComparison.Ordinal) && type != ElementType.Float;
    }

    [TestMethod]
    [DataRow("simulated")]
    [DataRow("cuda:0")]
    public void A_resumed_run_is_bit_for_bit_one_never_stopped(string name)
    {
        using var tiny = new TinyRun(ElementType.BFloat16);
        using IDevice device = TestDevice.Open(name);
        foreach (string selection in new[] { "lift", "gradient-magnitude" })
        {
            TrainingOptions options = TinyRun.Options with { Selection = selection };
            tiny.Train($"whole-{selection}", options, on: device);
            tiny.Train($"parts-{selection}", options, stopAt: e => e is StepDone { Step: 4 }, on: device);
            tiny.Resume($"parts-{selection}", device);
            var (whole, parts) = (tiny.Weights($"whole-{selection}"), tiny.Weights($"parts-{selection}"));
            foreach (string weight in whole.Keys) CollectionAssert.AreEqual(whole[weight], parts[weight], $"{selection} {weight}");
        }
    }

    [TestMethod]
    [DataRow("simulated")]
    [DataRow("cuda:0")]
    public void Runs_leave_no_memory_behind(string name)
    {
        using var tiny = new TinyRun();
        using IDevice device = TestDevice.Open(name);
        tiny.Train("first", TinyRun.Options, on: device);
        long before = Free();
        for (int i = 0; i < 3; i++) tiny.Train($"again{i}", TinyRun.Options, on: device);
        Assert.AreEqual(before, Free(), 4 << 20, "bytes free");

        long Free()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
            return device.Memory.Free;
        }
    }

    [TestMethod]
    public void Out_of_memory_says_what_would_fit()
    {
        using var tiny = new TinyRun();
        using IDevice device = SimulatedGpu.Open();
        try
        {
            SimulatedGpu.Limit(40 << 20); // staging of cuBLAS alone is 32 MiB
            var error = Assert.ThrowsExactly<DeviceMemoryException>(() => tiny.Train("none", TinyRun.Options with { Steps = 3 }, on: new Full(device)));
            foreach (string part in new[] { "cuda:0 has no room for a batch of 2 x ", "--batch 1 with --accumulate 2", "--max-length", "--recompute layers" }) StringAssert.Contains(error.Message, part);
        }
        finally
        {
            SimulatedGpu.Limit(8L << 30);
        }
    }

    /// <summary>A device whose sessions find no memory.</summary>
    private sealed class Full(IDevice inner) : IDevice
    {
        public string Name => inner.Name;

        public string Description => inner.Description;

        public bool Computes16Bit => inner.Computes16Bit;

        public DeviceMemory Memory => inner.Memory;

        public Microsoft.ML.OnnxRuntime.OrtMemoryInfo MemoryInfo => inner.MemoryInfo;

        public DeviceBuffer<T> Allocate<T>(long length) where T : unmanaged => inner.Allocate<T>(length);

        public DeviceBuffer<byte> Share(Tensor tensor) => inner.Share(tensor);

        public void AddTo(Microsoft.ML.OnnxRuntime.SessionOptions options) => inner.AddTo(options);

        public void Run(Microsoft.ML.OnnxRuntime.InferenceSession session, Microsoft.ML.OnnxRuntime.OrtIoBinding binding, bool wait) => throw new DeviceMemoryException("Failed to allocate memory for requested buffer of size 123", Memory.Free, Memory.Total);

        public void Run<TKernel>(in TKernel kernel) where TKernel : IKernel => inner.Run(kernel);

        public void Copy(nint from, nint to, long bytes) => inner.Copy(from, to, bytes);

        public void Synchronize() => inner.Synchronize();

        public void Dispose() => inner.Dispose();
    }
}
