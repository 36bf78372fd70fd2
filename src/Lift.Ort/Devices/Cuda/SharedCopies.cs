using System.Runtime.CompilerServices;

namespace Lift.Ort.Devices.Cuda;

/// <summary>
/// Copies on a device of things in host memory, one for each thing, however many read it: positions that a session and its optimizer follow, weights that a
/// training and a validation session read. A copy goes with the last of its users.
/// </summary>
internal sealed class SharedCopies
{
    private readonly ConditionalWeakTable<object, object> copies = []; // by the array or tensor, by identity
    private readonly Lock entry = new();

    /// <summary>The copy of <paramref name="source"/>, made by <paramref name="make"/> where there is none; dispose it after use.</summary>
    public DeviceBuffer<T> Open<T>(object source, Func<DeviceBuffer<T>> make) where T : unmanaged
    {
        lock (entry)
        {
            if (!copies.TryGetValue(source, out object? known) || known is not Copy<T> copy) copies.AddOrUpdate(source, copy = new Copy<T>(make()));
            copy.Users++;
            return new User<T>(this, source, copy);
        }
    }

    /// <summary>Takes a buffer that holds the same as <paramref name="source"/> as its copy; without users it goes when the source does.</summary>
    public void Adopt<T>(object source, DeviceBuffer<T> same) where T : unmanaged
    {
        lock (entry)
        {
            if (!copies.TryAdd(source, new Copy<T>(same))) same.Dispose();
        }
    }

    private void Leave<T>(object source, Copy<T> copy) where T : unmanaged
    {
        lock (entry)
        {
            if (--copy.Users > 0) return;
            if (copies.TryGetValue(source, out object? known) && ReferenceEquals(known, copy)) copies.Remove(source);
        }
        copy.Buffer.Dispose();
    }

    private sealed class Copy<T>(DeviceBuffer<T> buffer) where T : unmanaged
    {
        public DeviceBuffer<T> Buffer => buffer;

        public int Users { get; set; }
    }

    private sealed class User<T>(SharedCopies all, object source, Copy<T> copy) : DeviceBuffer<T>(copy.Buffer.Length) where T : unmanaged
    {
        private int left;

        public override nint Pointer => left == 0 ? copy.Buffer.Pointer : throw new ObjectDisposedException(nameof(DeviceBuffer<>));

        public override void CopyFrom(ReadOnlySpan<T> values, long offset = 0) => throw new NotSupportedException("what is shared for reading is not written");

        public override void CopyTo(Span<T> destination, long offset = 0) => copy.Buffer.CopyTo(destination, offset);

        public override void Dispose()
        {
            GC.SuppressFinalize(this);
            if (Interlocked.Exchange(ref left, 1) == 0) all.Leave(source, copy);
        }

        ~User() => Dispose();
    }
}
