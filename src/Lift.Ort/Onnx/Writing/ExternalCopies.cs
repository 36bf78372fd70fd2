using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Onnx.Writing;

/// <summary>
/// The external data of a model that is re-emitted: all files that it refers to, copied behind one another into one, with the new bytes in their place.
/// A tensor that shares its stretch with another one gets its new bytes at the end instead, so that the other keeps its own.
/// </summary>
internal sealed class ExternalCopies(string modelPath)
{
    private const long Page = 4096;

    private readonly ExternalData data = new(modelPath);
    private readonly List<Use> uses = [];
    private readonly List<(PatchedCopy Copy, long Base)> files = [];
    private readonly List<(NewContent Content, long At)> appended = [];

    private long end;

    private sealed record Use(long Message, MappedFile File, long Offset, long Length, NewContent? Replacement)
    {
        public long Place { get; set; }
    }

    public bool IsUsed => uses.Count > 0 || appended.Count > 0;

    /// <param name="message">Where the tensor's message begins in the model file: its identity.</param>
    public void Add(long message, TensorProto tensor, NewContent? replacement)
    {
        long count = tensor.Dims.Aggregate(1L, (n, d) => checked(n * Math.Max(0, d)));
        long length = ((ElementType)tensor.DataType).ByteLength(count);
        (MappedFile file, long offset) = data.Find(tensor, length);
        uses.Add(new(message, file, offset, length, replacement));
    }

    /// <summary>Decides where everything goes; to be called once all tensors are known.</summary>
    public void Plan()
    {
        end = 0;
        foreach (var group in uses.GroupBy(u => u.File))
        {
            long start = Aligned(end);
            var copy = new PatchedCopy(group.Key);
            files.Add((copy, start));
            foreach (Use use in group) use.Place = start + use.Offset;
            end = start + group.Key.Length;
        }
        foreach (var (copy, start) in files)
        {
            List<Use> here = [.. uses.Where(u => u.File == copy.Source).OrderBy(u => u.Offset)];
            long reached = 0;
            for (int i = 0; i < here.Count; i++)
            {
                Use use = here[i];
                bool shared = use.Offset < reached || (i + 1 < here.Count && here[i + 1].Offset < use.Offset + use.Length);
                reached = Math.Max(reached, use.Offset + use.Length);
                if (use.Replacement is not { } content || use.Length == 0) continue;
                if (!shared)
                {
                    copy.Put(use.Offset, use.Length, content);
                    continue;
                }
                use.Place = Aligned(end);
                appended.Add((content, use.Place));
                end = use.Place + use.Length;
            }
        }
    }

    /// <summary>Puts a tensor that the source does not have behind everything else; to be called after <see cref="Plan"/>.</summary>
    /// <returns>Where it begins.</returns>
    public long Append(NewContent content)
    {
        long at = Aligned(end);
        appended.Add((content, at));
        end = at + content.ByteLength;
        return at;
    }

    public (long Offset, long Length) Place(long message)
    {
        Use use = uses.First(u => u.Message == message);
        return (use.Place, use.Length);
    }

    public void WriteTo(Stream to)
    {
        foreach (var (copy, start) in files)
        {
            Pad(to, start);
            copy.WriteTo(to);
        }
        foreach (var (content, at) in appended)
        {
            Pad(to, at);
            content.WriteTo(to, 0, content.ByteLength);
        }
    }

    private static void Pad(Stream to, long position)
    {
        while (to.Position < position) to.WriteByte(0);
    }

    private static long Aligned(long at) => (at + Page - 1) / Page * Page;
}
