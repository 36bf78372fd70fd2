using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Onnx.Writing;

/// <summary>A copy of a mapped file with some stretches replaced, written as a stream: nothing but the replacements is held in memory.</summary>
internal sealed unsafe class PatchedCopy(MappedFile source)
{
    private const int Piece = 1 << 24;

    private readonly SortedDictionary<long, (long Length, byte[]? Bytes, NewContent? Content, long From)> edits = [];

    public MappedFile Source => source;

    public void Put(long offset, long length, byte[] bytes) => edits[offset] = (length, bytes, null, 0);

    /// <summary>Replaces <paramref name="length"/> bytes by as many of <paramref name="content"/>, beginning at its byte <paramref name="from"/>.</summary>
    public void Put(long offset, long length, NewContent content, long from = 0) => edits[offset] = (length, null, content, from);

    public void WriteTo(Stream to)
    {
        long at = 0;
        foreach (var (offset, edit) in edits)
        {
            Copy(at, offset, to);
            if (edit.Bytes is not null) to.Write(edit.Bytes);
            else edit.Content!.WriteTo(to, edit.From, edit.Length);
            at = offset + edit.Length;
        }
        Copy(at, source.Length, to);
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
