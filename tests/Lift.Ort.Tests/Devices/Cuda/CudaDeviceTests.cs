using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Devices.Cuda.Interop;

namespace Lift.Ort.Tests.Devices.Cuda;

/// <summary>The device itself, on the simulated GPU where there is no real one.</summary>
[TestClass]
public sealed class CudaDeviceTests
{
    [TestMethod, AllDevices]
    public void Memory_is_zeroed_and_copied_by_offset(string name)
    {
        using IDevice device = TestDevice.Open(name);
        using DeviceBuffer<int> buffer = device.Allocate<int>(1001);
        CollectionAssert.AreEqual(new int[1001], buffer.Get());
        Assert.AreEqual(0, buffer.Pointer % 64);
        buffer.CopyFrom([7, 8], 999);
        int[] read = new int[3];
        buffer.CopyTo(read, 998);
        CollectionAssert.AreEqual(new[] { 0, 7, 8 }, read);
        Assert.ThrowsExactly<ArgumentException>(() => buffer.CopyFrom([1, 2], 1000));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => buffer.CopyFrom([1], -1));
    }

    [TestMethod, AllDevices]
    public void Copies_of_many_pieces_arrive_whole(string name)
    {
        using IDevice device = TestDevice.Open(name);
        byte[] values = new byte[(40 << 20) + 12345]; // two and a half pieces of the staging memory
        new Random(1).NextBytes(values);
        using DeviceBuffer<byte> buffer = device.Allocate<byte>(values.Length);
        buffer.CopyFrom(values);
        CollectionAssert.AreEqual(values, buffer.Get());
    }

    [TestMethod]
    [DataRow("simulated")]
    [DataRow("cuda:0")]
    public void A_failing_call_names_itself_its_code_sizes_and_the_device(string name)
    {
        using IDevice device = TestDevice.Open(name);
        var error = Assert.ThrowsExactly<DeviceMemoryException>(() => device.Allocate<byte>(1L << 45));
        foreach (string part in new[] { "CudaDriver.MemAlloc returned 2 CUDA_ERROR_OUT_OF_MEMORY", "35184372088832 bytes", device.Name, device.Description, "GB free" }) StringAssert.Contains(error.Message, part);
        Assert.IsTrue(error.Total > 0 && error.Free <= error.Total);
    }

    [TestMethod]
    [DataRow("simulated")]
    [DataRow("cuda:0")]
    public void A_refused_product_names_itself_its_sizes_and_the_device(string name)
    {
        using var device = (CudaDevice)TestDevice.Open(name);
        using DeviceBuffer<float> memory = device.Allocate<float>(100);
        CudaMatrix good = CudaMatrix.Float(memory.Pointer, 4), bad = CudaMatrix.Float(memory.Pointer, 2); // 2 rows apart, of 4
        string one = Assert.ThrowsExactly<CudaException>(() => device.Algebra.Multiply(false, false, 4, 3, 5, bad, CudaMatrix.Float(memory.Pointer, 5), good)).Message;
        foreach (string part in new[] { "CuBlas.GemmEx returned 7 invalid value", "4 x 5 times 5 x 3", "leading dimensions 2, 5 and 4", device.Name, device.Description, "GB free" }) StringAssert.Contains(one, part);
        string batch = Assert.ThrowsExactly<CudaException>(() => device.Algebra.Multiply(false, false, 4, 3, 5, bad, CudaMatrix.Float(memory.Pointer, 5), good, batch: 2)).Message;
        foreach (string part in new[] { "CuBlas.GemmStridedBatchedEx returned 7", "batch 2" }) StringAssert.Contains(batch, part);
    }

    /// <summary>Codes of NVIDIA's headers (compute.md, section 6) with their meaning; out of memory is told apart everywhere.</summary>
    [TestMethod]
    public void Every_librarys_codes_have_a_meaning()
    {
        foreach (var (code, meaning) in new[] { (1, "not initialized"), (3, "allocation failed"), (7, "invalid value"), (8, "architecture mismatch"), (13, "execution failed"), (14, "internal error"), (15, "not supported") }) Assert.AreEqual(meaning, CuBlas.Meaning((CuBlasStatus)code));
        foreach (var (code, meaning) in new[] { (1, "not initialized"), (2, "allocation failed"), (3, "invalid value"), (6, "execution failed"), (7, "internal error"), (9, "not supported"), (31, "invalid workspace") }) Assert.AreEqual(meaning, CuSolver.Meaning((CuSolverStatus)code));
        Assert.ThrowsExactly<DeviceMemoryException>(() => ((CuBlasStatus)3).ThrowIfFailed("n = 5"));
        Assert.ThrowsExactly<DeviceMemoryException>(() => ((CuSolverStatus)2).ThrowIfFailed("n = 5"));
        StringAssert.Contains(Assert.ThrowsExactly<CudaException>(() => ((NvrtcResult)5).ThrowIfFailed("X.cu", "Nvrtc.CreateProgram(out p)")).Message, "Nvrtc.CreateProgram returned 5 invalid option; X.cu");
    }

    [TestMethod]
    [DataRow("simulated")]
    [DataRow("cuda:0")]
    public void A_kernel_that_does_not_compile_shows_the_compilers_log(string name)
    {
        using var device = (CudaDevice)TestDevice.Open(name);
        var error = Assert.ThrowsExactly<CudaException>(() => device.Compiler.Compile("#include \"common.cuh\"\nextern \"C\" __global__ void F() { mistake }", "Broken.cu", null));
        StringAssert.Contains(error.Message, "Broken.cu");
        StringAssert.Contains(error.Message, "mistake");
        StringAssert.Contains(Assert.ThrowsExactly<CudaException>(() => device.Launch("AddScaled", "NoSuchKernel", null, new(1, 32))).Message, "NoSuchKernel of AddScaled.cu");
    }

    [TestMethod]
    [DataRow("simulated")]
    [DataRow("cuda:0")]
    public void A_kernel_is_compiled_once_and_then_read_from_the_disk(string name)
    {
        using var device = (CudaDevice)TestDevice.Open(name);
        string source = $"#include \"common.cuh\"\nextern \"C\" __global__ void F(int* x) {{ *x = {Guid.NewGuid().GetHashCode()}; }}";
        var first = new KernelCompiler(device.Architecture);
        byte[] made = first.Compile(source, "Once.cu", null);
        Assert.AreEqual(1, first.Compiled);
        var second = new KernelCompiler(device.Architecture);
        CollectionAssert.AreEqual(made, second.Compile(source, "Once.cu", null));
        Assert.AreEqual(0, second.Compiled);
        foreach (string file in Directory.GetFiles(KernelCompiler.CacheFolder, "Once-*")) File.Delete(file);
    }

    [TestMethod]
    [DataRow("simulated")]
    [DataRow("cuda:0")]
    public void Buffers_of_a_device_can_be_used_from_any_thread(string name)
    {
        using IDevice device = TestDevice.Open(name);
        using DeviceBuffer<int> buffer = device.Put(1, 2, 3);
        int[] read = [];
        var thread = new Thread(() => read = buffer.Get());
        thread.Start();
        thread.Join();
        CollectionAssert.AreEqual(new[] { 1, 2, 3 }, read);
    }

    [TestMethod]
    [DataRow("simulated")]
    [DataRow("cuda:0")]
    public void Memory_is_given_back(string name)
    {
        using IDevice device = TestDevice.Open(name);
        device.Allocate<byte>(1 << 20).Dispose();
        long before = device.Memory.Free;
        for (int i = 0; i < 200; i++) device.Allocate<byte>(1 << 20).Dispose();
        Assert.AreEqual(before, device.Memory.Free, 1 << 20);
    }

    [TestMethod]
    public void The_providers_options_carry_stream_and_precision()
    {
        using CudaDevice device = SimulatedGpu.Open(new() { Tf32 = false, ArenaLimit = 1 << 30 });
        Dictionary<string, string> settings = CudaProvider.Settings(device);
        Assert.AreEqual("1", settings["has_user_compute_stream"]);
        Assert.AreNotEqual("0", settings["user_compute_stream"]);
        Assert.AreEqual("0", settings["use_tf32"]);
        Assert.AreEqual("kSameAsRequested", settings["arena_extend_strategy"]);
        Assert.AreEqual("1073741824", settings["gpu_mem_limit"]);
    }
}
