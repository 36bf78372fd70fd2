using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Microsoft.ML.OnnxRuntime;
using Tensor = Lift.Ort.Onnx.Tensor;
using TensorElementType = Microsoft.ML.OnnxRuntime.Tensors.TensorElementType;

namespace Lift.Ort.Sessions;

/// <summary>An ONNX Runtime session whose inputs and outputs are bound to memory of ours. What is bound must outlive the next run.</summary>
internal sealed unsafe class BoundSession : IDisposable
{
    private readonly IDevice device;
    private readonly InferenceSession session;
    private readonly OrtIoBinding binding;
    private readonly bool records;
    private readonly Dictionary<string, UInt128> places = []; // what is bound to our memory, by name: where, of which form

    /// <param name="what">What the model is for, as errors name it: "training model of 'DIR'".</param>
    /// <param name="trainingOperators">False leaves ONNX Runtime with the fallback functions in the file.</param>
    /// <param name="records">True: its runs may be recorded, on a device that <see cref="IDevice.Records"/>.</param>
    /// <exception cref="LiftException">ONNX Runtime refuses the model.</exception>
    public BoundSession(ModelProto model, IDevice device, string what, bool trainingOperators = true, Action<SessionOptions>? configure = null, bool records = false)
    {
        (this.device, this.records) = (device, records);
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        if (records) device.AddTo(options, records);
        else device.AddTo(options);
        if (!device.Computes16Bit)
        {
            model = Widening.Run(model, trainingOperators);
            if (!trainingOperators) options.AddSessionConfigEntry(Widening.LeavesEqualNodesApart.Name, Widening.LeavesEqualNodesApart.Value);
        }
        if (trainingOperators) TrainingOperators.AddTo(options, device);
        configure?.Invoke(options);
        try
        {
            session = new InferenceSession(Google.Protobuf.MessageExtensions.ToByteArray(model), options);
        }
        catch (OnnxRuntimeException e)
        {
            throw new LiftException($"ONNX Runtime does not take the {what}: {e.Message}", e);
        }
        binding = session.CreateIoBinding();
    }

    /// <summary>All that is bound to our memory, as one number: equal where names, addresses, types and dimensions are.</summary>
    public UInt128 Signature { get; private set; }

    /// <summary>Inputs that ONNX Runtime reads elsewhere than in the device's memory; null where it does not say.</summary>
    public IReadOnlySet<string>? HostInputs => hostInputs ??= FindHostInputs();

    private HashSet<string>? hostInputs;

    /// <summary>Binds an input to memory on the device.</summary>
    public void Input(string name, nint data, long bytes, ElementType type, long[] dims)
    {
        if (!Moves(name, data, type, dims)) return;
        using OrtValue value = Value(device.MemoryInfo, data, bytes, type, dims);
        binding.BindInput(name, value);
    }

    /// <summary>Binds an input to a tensor in host memory; ONNX Runtime copies it to the device where that is elsewhere.</summary>
    public void Input(string name, Tensor tensor)
    {
        if (places.Remove(name, out UInt128 before)) Signature ^= before;
        using OrtValue value = Value(OrtMemoryInfo.DefaultInstance, (nint)tensor.Data, tensor.ByteLength, tensor.Type, tensor.Dims);
        binding.BindInput(name, value);
    }

    /// <summary>Binds an output to memory on the device.</summary>
    public void Output(string name, nint data, long bytes, ElementType type, long[] dims)
    {
        if (!Moves(name, data, type, dims)) return;
        using OrtValue value = Value(device.MemoryInfo, data, bytes, type, dims);
        binding.BindOutput(name, value);
    }

    /// <summary>Lets ONNX Runtime allocate an output in host memory in the next run; to be said before each, since a run's outputs stay bound.</summary>
    public void Output(string name)
    {
        if (places.Remove(name, out UInt128 before)) Signature ^= before;
        binding.BindOutputToDevice(name, OrtMemoryInfo.DefaultInstance);
    }

    /// <param name="wait">False: outputs on the device may still be on their way when this returns.</param>
    /// <param name="recording">Number of the recording to make or replay, of a session that records; 0: a plain run.</param>
    /// <exception cref="LiftException">ONNX Runtime cannot run this batch, for example because an id is outside an embedding.</exception>
    public void Run(string what, bool wait = true, int recording = 0)
    {
        try
        {
            if (records) device.Run(session, binding, wait, recording);
            else device.Run(session, binding, wait);
        }
        catch (OnnxRuntimeException e)
        {
            throw new LiftException($"ONNX Runtime could not run the {what}: {e.Message}", e);
        }
    }

    /// <summary>Copies of the outputs that ONNX Runtime allocated in the last run, by name.</summary>
    public Dictionary<string, Tensor> Allocated(IReadOnlyCollection<string> names)
    {
        var result = new Dictionary<string, Tensor>();
        if (names.Count == 0) return result;
        using var values = binding.GetOutputValues();
        foreach (var (name, value) in binding.GetOutputNames().Zip(values))
        {
            if (!names.Contains(name)) continue;
            OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
            Span<byte> bytes = value.GetTensorMutableRawData();
            var tensor = Tensor.Empty(name, (ElementType)info.ElementDataType, info.Shape);
            bytes.CopyTo(tensor.AsSpan<byte>());
            result[name] = tensor;
        }
        return result;
    }

    /// <summary>Ends profiling (where the options began it) and answers the file with the nodes in the order in which they ran.</summary>
    public string EndProfiling() => session.EndProfiling();

    /// <summary>Notes where something is bound; false where it is bound so already.</summary>
    private bool Moves(string name, nint data, ElementType type, long[] dims)
    {
        byte[] about = Encoding.UTF8.GetBytes($"{name} {data} {type} {string.Join(',', dims)}");
        UInt128 place = BinaryPrimitives.ReadUInt128LittleEndian(SHA256.HashData(about));
        bool known = places.TryGetValue(name, out UInt128 before);
        if (known && before == place) return false;
        Signature ^= place ^ before;
        places[name] = place;
        return true;
    }

    private HashSet<string>? FindHostInputs()
    {
        try
        {
            using var infos = session.GetMemoryInfosForInputs();
            return [.. session.InputNames.Zip(infos).Where(i => !i.Second.Name.Equals(device.MemoryInfo.Name, StringComparison.OrdinalIgnoreCase)).Select(i => i.First)];
        }
        catch (OnnxRuntimeException)
        {
            return null;
        }
    }

    private static OrtValue Value(OrtMemoryInfo memory, nint data, long bytes, ElementType type, long[] dims) =>
        OrtValue.CreateTensorValueWithData(memory, (TensorElementType)type, dims, data, bytes);

    public void Dispose()
    {
        binding.Dispose();
        session.Dispose();
    }
}
