using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions;

/// <summary>What became of recording a session's runs (<see cref="Devices.Cuda.CudaOptions.Graphs"/>).</summary>
/// <param name="WhyNot">Why none is recorded, naming the node, input or output; null where they are.</param>
/// <param name="Shapes">Shapes of batches whose runs are recorded.</param>
public sealed record Recording(string? WhyNot, int Shapes);

/// <summary>A run could not be recorded; the session has to be opened anew without.</summary>
internal sealed class RecordingException(Exception why) : LiftException(why.Message, why);

/// <summary>
/// How a session's batches come to the device, and which of its runs are recorded and replayed. On a device with memory of its own every user input has a place there, so
/// that addresses stay and a batch is copied in order with everything else. A shape of batch that comes for the second time gets places of its own and, where the model
/// allows it, a recording: known by everything that is bound, so that whatever moves is recorded anew.
/// </summary>
internal sealed class RecordedRuns(IDevice device) : IDisposable
{
    /// <summary>Recordings of one session. ONNX Runtime lets none of them go before the session, so those that came first stay.</summary>
    public const int Most = 32;

    /// <summary>Runs by which a recording is made for certain: two to warm up, within the first one or before the third.</summary>
    private const int Making = 3;

    /// <summary>Shapes that are remembered without a recording; the one that was seen longest ago is forgotten.</summary>
    public const int MostSeen = 256;

    private readonly bool isApart = device.Memory.Total > 0;
    private readonly Dictionary<string, Shape> shapes = [];
    private readonly Dictionary<string, DeviceBuffer<byte>> common = []; // the places of inputs of shapes without their own
    private readonly Dictionary<UInt128, int> numbers = [];
    private readonly Dictionary<int, int> made = []; // runs of each recording so far
    private string? whyNot = device.Records ? null : $"{device.Name} records none";
    private Shape? current;
    private long time;

    public Recording State => new(whyNot, made.Count);

    /// <summary>True where what is bound should keep its address.</summary>
    public bool KeepsAddresses => device.Records;

    /// <summary>Records nothing from now on.</summary>
    public void Forbid(string why) => whyNot ??= why;

    /// <summary>Opens a session, one that records where that is asked for and possible.</summary>
    /// <param name="inputs">The user inputs that the model has.</param>
    /// <param name="readBack">Outputs that the host reads after each run.</param>
    /// <param name="open">Opens it, to be recorded or not.</param>
    public BoundSession Open(ModelProto model, IEnumerable<string> inputs, IReadOnlyCollection<string> readBack, Func<bool, BoundSession> open)
    {
        numbers.Clear();
        made.Clear();
        whyNot ??= RecordableModel.WhyNot(model, readBack);
        if (whyNot is not null) return open(false);
        try
        {
            BoundSession session = open(true);
            string? onHost = session.HostInputs is { } known ? inputs.FirstOrDefault(known.Contains) : "(unknown)";
            if (onHost is null) return session;
            whyNot = $"input '{onHost}' is read on the host";
            session.Dispose();
        }
        catch (LiftException e) when (e is not DeviceMemoryException)
        {
            whyNot = e.Message; // where the model itself is at fault, the plain session says so
        }
        return open(false);
    }

    /// <summary>Brings a batch to the device and binds it.</summary>
    public void Bind(BoundSession session, IReadOnlyList<(string Name, Tensor Value)> inputs)
    {
        current = whyNot is null ? See(inputs) : null;
        foreach (var (name, value) in inputs)
        {
            if (!isApart || session.HostInputs is null || session.HostInputs.Contains(name))
            {
                session.Input(name, value);
                continue;
            }
            DeviceBuffer<byte> place = current?.Places?[name] ?? Common(name, value.ByteLength);
            Fill(place, value);
            session.Input(name, place.Pointer, value.ByteLength, value.Type, value.Dims);
        }
    }

    /// <summary>Runs what is bound: recorded, replayed or plain.</summary>
    /// <exception cref="RecordingException">It could not be recorded.</exception>
    public void Run(BoundSession session, string what, bool wait)
    {
        int number = current?.Places is null ? 0 : NumberOf(session.Signature);
        try
        {
            session.Run(what, wait, number);
        }
        catch (LiftException e) when (number > 0 && made.GetValueOrDefault(number) < Making && e is not DeviceMemoryException)
        {
            throw new RecordingException(e);
        }
        if (number > 0) made[number] = made.GetValueOrDefault(number) + 1;
    }

    public void Dispose()
    {
        foreach (DeviceBuffer<byte> place in common.Values.Concat(shapes.Values.SelectMany(s => s.Places?.Values ?? Enumerable.Empty<DeviceBuffer<byte>>()))) place.Dispose();
    }

    private int NumberOf(UInt128 signature)
    {
        if (!numbers.TryGetValue(signature, out int number) && numbers.Count < Most) numbers[signature] = number = numbers.Count + 1;
        return number;
    }

    /// <summary>The shape of a batch; it has places of its own from its second time on.</summary>
    private Shape See(IReadOnlyList<(string Name, Tensor Value)> inputs)
    {
        string key = string.Join(';', inputs.Select(i => $"{i.Name} {i.Value.Type} {string.Join(',', i.Value.Dims)}"));
        if (!shapes.TryGetValue(key, out Shape? shape))
        {
            string? oldest = shapes.Count < MostSeen ? null : shapes.Where(s => s.Value.Places is null).MinBy(s => s.Value.Seen).Key;
            if (oldest is not null) shapes.Remove(oldest);
            shapes[key] = shape = new Shape();
        }
        else if (shape.Places is null && shapes.Values.Count(s => s.Places is not null) < Most)
        {
            shape.Places = inputs.ToDictionary(i => i.Name, i => device.Allocate<byte>(i.Value.ByteLength));
        }
        shape.Seen = ++time;
        return shape;
    }

    private DeviceBuffer<byte> Common(string name, long bytes)
    {
        if (common.TryGetValue(name, out DeviceBuffer<byte>? place) && place.Length >= bytes) return place;
        place?.Dispose();
        return common[name] = device.Allocate<byte>(bytes);
    }

    private static unsafe void Fill(DeviceBuffer<byte> place, Tensor value)
    {
        const int Piece = 1 << 28;
        for (long at = 0; at < value.ByteLength; at += Piece) place.CopyFrom(new ReadOnlySpan<byte>(value.Data + at, (int)Math.Min(Piece, value.ByteLength - at)), at);
        GC.KeepAlive(value);
    }

    private sealed class Shape
    {
        public long Seen { get; set; }

        public Dictionary<string, DeviceBuffer<byte>>? Places { get; set; }
    }
}
