using System.Diagnostics;
using Lift.Ort.Architectures;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;

namespace Lift.Ort.Cli.Doctor;

/// <summary>Small computations on a device, compared with the CPU or with plain arithmetic; some seconds in all.</summary>
internal static class SelfTest
{
    private const string Report = "report this with the output of 'lift doctor --json'";

    /// <summary>The checks of one device, each with how long it took.</summary>
    public static IEnumerable<Finding> Run(string name)
    {
        yield return Timed($"{name}: kernel", "see the compiler's log above; the CUDA toolkit's NVRTC must be as new as the GPU, otherwise " + Report, () => Kernel(name));
        yield return Timed($"{name}: products and rank reduction", Report, () => Products(name));
        yield return Timed($"{name}: training step", "docs/cuda.md says which files ONNX Runtime's CUDA provider needs; otherwise " + Report, () => TrainingStep(name));
    }

    private static Finding Timed(string check, string remedy, Func<string> body)
    {
        long started = Stopwatch.GetTimestamp();
        Finding finding = Finding.Of(check, remedy, body);
        return finding with { Detail = $"{finding.Detail} ({Stopwatch.GetElapsedTime(started).TotalSeconds:F1} s)" };
    }

    private static IDevice Open(string name) => Device.Open(name, new CudaOptions { Tf32 = false });

    /// <summary>The norm of a vector, and a step of AdamW.</summary>
    private static string Kernel(string name)
    {
        using IDevice device = Open(name);
        float[] values = Numbers(100_003, 1);
        using DeviceBuffer<float> buffer = device.Allocate<float>(values.Length);
        buffer.CopyFrom(values);
        double[] norm = new double[1];
        device.Run(new SquaredNorm(buffer, norm));
        double expected = values.Sum(v => (double)v * v), error = Math.Abs(norm[0] - expected) / expected;
        return error < 1e-9 ? $"a reduction over {values.Length} numbers is right" : throw new LiftException($"a sum of squares is {norm[0]:G9}, not {expected:G9}");
    }

    /// <summary>The refresh of one matrix: Gram matrix, filters, factorizations, top magnitudes; its mask against the CPU's.</summary>
    private static string Products(string name)
    {
        const int Rows = 320, Columns = 384;
        Tensor weight = Tensor.From<float>("w", Numbers(Rows * Columns, 2), Rows, Columns);
        var options = new SelectionOptions { FilterRank = 32 };
        Mask Choose(IDevice device)
        {
            using DeviceBuffer<byte> shared = device.Share(weight);
            using var selector = new MaskSelector(options, device);
            return selector.Select([On(shared, weight)]).Masks[0];
        }
        using IDevice device = Open(name);
        using var cpu = new CpuDevice();
        double overlap = Choose(device).Overlap(Choose(cpu));
        return overlap > 0.98 ? $"the mask of a {Rows} x {Columns} matrix overlaps the CPU's by {overlap:F4}" : throw new LiftException($"the mask of a matrix overlaps the CPU's by {overlap:F4} only");
    }

    /// <summary>Loss and gradients of a small decoder against the CPU's.</summary>
    private static string TrainingStep(string name)
    {
        string folder = Directory.CreateTempSubdirectory("lift-doctor-").FullName;
        try
        {
            string model = Path.Combine(folder, "model.onnx");
            NewModel.WriteLlama(model, new LlamaShape(Width: 64, Layers: 2, Heads: 4, KvHeads: 2, Ffn: 128, Vocab: 96, Tied: false), ElementType.Float, seed: 1);
            ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(model)), model, Path.Combine(folder, "prepared"));
            using IDevice device = Open(name);
            using var cpu = new CpuDevice();
            var (expected, wanted) = Step(cpu, Path.Combine(folder, "prepared"));
            var (loss, gradient) = Step(device, Path.Combine(folder, "prepared"));
            double difference = Math.Sqrt(wanted.Zip(gradient, (a, b) => (double)(a - b) * (a - b)).Sum() / wanted.Sum(a => (double)a * a));
            return Math.Abs(loss - expected) <= 1e-4 * expected && difference <= 1e-3 ? $"loss {loss:F5}, gradients within {difference:E1} of the CPU's"
                : throw new LiftException($"loss {loss:F5}, the CPU's is {expected:F5}; gradients differ by {difference:E1}");
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    private static (float Loss, float[] Gradient) Step(IDevice device, string prepared)
    {
        using TrainingSession session = TrainingSession.Open(ArtifactFolder.Open(prepared), device);
        var random = new Random(4);
        long[] ids = [.. Enumerable.Range(0, 2 * 24).Select(_ => (long)random.Next(96))];
        var batch = new Dictionary<string, Tensor>();
        foreach (GraphValue input in session.Inputs)
            batch[input.Name] = Tensor.From<long>(input.Name, input.Name == "attention_mask" ? [.. ids.Select(_ => 1L)] : ids, 2, 24);
        float loss = session.Step(batch);
        float[] gradient = new float[session.Gradients.Length];
        session.Gradients.CopyTo(gradient);
        return (loss, gradient);
    }

    private static unsafe Tensor On(DeviceBuffer<byte> memory, Tensor tensor) => new(tensor.Name, tensor.Type, tensor.Dims, (byte*)memory.Pointer, memory);

    private static float[] Numbers(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
    }
}
