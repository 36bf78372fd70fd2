using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Onnx.Writing;

/// <summary>A copy of a mapped file with some stretches replaced, written as a stream: nothing but the replacements is held in memory.</summary>
internal sealed unsafe class PatchedCopy(MappedFile source)
{
    private const int Piece = 1 << 24;

    private readonly SortedDictionary<long, List<Edit>> edits = [];

    /// <param name="Taken">Bytes of the source that give way.</param>
    /// <param name="Length">Bytes of <paramref name="Content"/> that take their place.</param>
    private sealed record Edit(long Taken, byte[]? Bytes, NewContent? Content = null, long From = 0, long Length = 0);

    public MappedFile Source => source;

    public void Put(long offset, long length, byte[] bytes) => Add(offset, new(length, bytes));

    /// <summary>Replaces <paramref name="length"/> bytes by as many of <paramref name="content"/>, beginning at its byte <paramref name="from"/>.</summary>
    public void Put(long offset, long length, NewContent content, long from = 0) => Add(offset, new(length, null, content, from, length));

    /// <summary>Puts bytes, or all of <paramref name="content"/>, in front of the byte at <paramref name="offset"/>, behind what was put there before.</summary>
    public void Insert(long offset, byte[] bytes, NewContent? content = null)
    {
        Add(offset, new(0, bytes));
        if (content is not null) Add(offset, new(0, null, content, 0, content.ByteLength));
    }

    public void WriteTo(Stream to)
    {
        long at = 0;
        foreach (var (offset, here) in edits)
        {
            Copy(at, offset, to);
            at = offset;
            foreach (Edit edit in here)
            {
                if (edit.Bytes is not null) to.Write(edit.Bytes);
                else edit.Content!.WriteTo(to, edit.From, edit.Length);
                at += edit.Taken;
            }
        }
        Copy(at, source.Length, to);
    }

    private void Add(long offset, Edit edit)
    {
        if (edits.TryGetValue(offset, out var here)) here.Add(edit);
        else edits[offset] = [edit];
    }

    public static void Copy(byte* data, long from, long end, Stream to)
    {
        for (; from < end; from += Piece) to.Write(new ReadOnlySpan<byte>(data + from, (int)Math.Min(Piece, end - from)));
    }

    /// <summary>Copies a stretch of the source and gives its memory back on the way.</summary>
    private void Copy(long from, long end, Stream to)
    {
        for (; from < end; from += Piece)
        {
            long next = Math.Min(from + Piece, end);
            Copy(source.Data, from, next, to);
            source.Forget(source.Data + from, next - from);
        }
    }
}
