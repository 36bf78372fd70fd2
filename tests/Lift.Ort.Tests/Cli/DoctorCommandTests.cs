using System.Text.Json.Nodes;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Tests.Devices;
using Lift.Ort.Tests.Devices.Cuda;

namespace Lift.Ort.Tests.Cli;

/// <summary>The program itself is run, each time as a process with its own libraries.</summary>
[TestClass]
public sealed class DoctorCommandTests
{
    [TestMethod]
    public void Without_a_GPU_the_CPU_is_tested_and_the_rest_is_told_with_its_remedy()
    {
        if (TestDevice.HasGpu) Assert.Inconclusive("a GPU is here");
        LiftRun run = Doctor("", "doctor", "--json").Good();
        Assert.IsTrue((bool)run.Json["good"]!);
        foreach (string check in new[] { "lift", "ONNX Runtime", "cpu: kernel", "cpu: products and rank reduction", "cpu: training step" }) Assert.AreEqual("good", Of(run, check)["health"]!.GetValue<string>(), check);
        foreach (string check in new[] { "cuda", "cublas", "cusolver", "nvrtc", "ONNX Runtime's CUDA provider", "GPU" })
        {
            Assert.AreEqual("missing", Of(run, check)["health"]!.GetValue<string>(), check);
            Assert.IsTrue(Of(run, check)["remedy"]!.GetValue<string>().Length > 20, check);
        }
        StringAssert.Contains(Of(run, "ONNX Runtime")["detail"]!.GetValue<string>(), "CPUExecutionProvider");
        StringAssert.Contains(run.Error, "There is no GPU to use.");
    }

    [TestMethod]
    public void A_GPU_that_is_wanted_and_missing_is_exit_code_2()
    {
        if (TestDevice.HasGpu) Assert.Inconclusive("a GPU is here");
        LiftRun run = Doctor("", "doctor", "--device", "cuda", "--quiet");
        StringAssert.Contains(run.Refused(), "cuda");
    }

    [TestMethod]
    public void Other_commands_say_what_is_missing_when_cuda_is_asked_for()
    {
        if (TestDevice.HasGpu) Assert.Inconclusive("a GPU is here");
        string sentence = Doctor("", "bench", "copy", "--device", "cuda", "--gib", "0.01").Refused();
        StringAssert.Contains(sentence, "NVIDIA");
        StringAssert.Contains(sentence, "--device cpu");
    }

    [TestMethod]
    public void On_the_simulated_GPU_kernels_and_products_are_right_and_the_provider_is_missing()
    {
        LiftRun run = Doctor(SimulatedGpu.Prepare(), "doctor", "--json", "--quiet");
        Assert.AreEqual(2, run.Code, run.Error);
        foreach (string check in new[] { "cuda", "nvrtc", "cublas", "cusolver", "cuda:0", "cuda:0: kernel", "cuda:0: products and rank reduction" })
            Assert.AreEqual("good", Of(run, check)["health"]!.GetValue<string>(), $"{check}: {Of(run, check)}");
        StringAssert.Contains(Of(run, "cuda")["detail"]!.GetValue<string>(), "CUDA 13.0");
        StringAssert.Contains(Of(run, "cuda:0")["detail"]!.GetValue<string>(), "simulated GPU, sm_90");
        Assert.AreEqual("missing", Of(run, "ONNX Runtime's CUDA provider")["health"]!.GetValue<string>());
        Assert.AreEqual("wrong", Of(run, "cuda:0: training step")["health"]!.GetValue<string>());
        StringAssert.Contains(Of(run, "cuda:0: training step")["detail"]!.GetValue<string>(), "CUDA provider");
    }

    [TestMethod]
    public void On_a_real_GPU_everything_works()
    {
        if (!TestDevice.HasGpu) Assert.Inconclusive("there is no NVIDIA GPU here");
        LiftRun run = LiftRun.Program("doctor", "--json").Good();
        Assert.AreEqual("good", Of(run, "cuda:0: training step")["health"]!.GetValue<string>());
    }

    private static LiftRun Doctor(string libraries, params string[] arguments) =>
        LiftRun.Program(new() { [CudaLibraries.PathVariable] = libraries, ["LIFT_CACHE"] = libraries }, arguments);

    private static JsonObject Of(LiftRun run, string check) =>
        run.Json["findings"]!.AsArray().Select(f => f!.AsObject()).Single(f => f["check"]!.GetValue<string>() == check);
}
