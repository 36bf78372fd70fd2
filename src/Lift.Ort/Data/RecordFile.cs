using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Unicode;

namespace Lift.Ort.Data;

/// <summary>Reads a JSON array of objects, JSONL (one object per line, empty lines allowed), CSV, TSV, or a folder of files, row by row: the data are never whole in memory.</summary>
internal static class RecordFile
{
    /// <exception cref="LiftException">The file is missing, not UTF-8 or not JSON, or a row is no object; the message names file, row and byte.</exception>
    public static IEnumerable<DataRow> Read(string path)
    {
        if (Directory.Exists(path))
        {
            if (FolderRows.List(path) is not { } list) return FolderRows.Read(path);
            path = list;
        }
        if (!File.Exists(path)) throw new LiftException($"There is no data file '{path}'; check --data.");
        if (Path.GetExtension(path).ToLowerInvariant() is ".parquet" or ".arrow" or ".xlsx") throw new LiftException($"{path}: {Path.GetExtension(path)} files are not read; write the rows as JSONL or CSV.");
        CheckUtf8(path);
        if (CsvFile.IsTable(path)) return CsvFile.Read(path, OpenAfterMark(path));
        return FirstCharacter(path) == '[' ? ReadArray(path) : ReadLines(path);
    }

    private static IEnumerable<DataRow> ReadArray(string path)
    {
        using var file = OpenAfterMark(path);
        using var entries = JsonSerializer.DeserializeAsyncEnumerable<JsonElement>(file).ToBlockingEnumerable().GetEnumerator();
        for (int row = 1; Next(entries, path, row); row++) yield return Object(new DataRow(path, "entry", row, entries.Current));
    }

    private static bool Next(IEnumerator<JsonElement> entries, string path, int row)
    {
        try
        {
            return entries.MoveNext();
        }
        catch (JsonException e)
        {
            throw new LiftException($"{path}: after entry {row - 1} the file is no JSON array (line {e.LineNumber + 1}, byte {e.BytePositionInLine}); mend it there.", e);
        }
    }

    private static IEnumerable<DataRow> ReadLines(string path)
    {
        using var text = new StreamReader(OpenAfterMark(path), bufferSize: 1 << 16);
        for (int row = 1; text.ReadLine() is { } line; row++)
        {
            if (!string.IsNullOrWhiteSpace(line)) yield return Object(new DataRow(path, "line", row, Parse(line, path, row)));
        }
    }

    private static JsonElement Parse(string line, string path, int row)
    {
        try
        {
            return JsonElement.Parse(line);
        }
        catch (JsonException e)
        {
            throw new LiftException($"{path}: line {row} is no JSON object (at byte {e.BytePositionInLine} of the line); a data file is a JSON array or one JSON object per line.", e);
        }
    }

    private static DataRow Object(DataRow row)
    {
        if (row.Json.ValueKind != JsonValueKind.Object) throw new LiftException($"{row.Where} is {DataRow.Kind(row.Json)}, not an object; write each row as {{\"field\": value, …}}.");
        ReadOnlySpan<byte> raw = JsonMarshal.GetRawUtf8Value(row.Json);
        if ((raw.IndexOf("\\ud"u8) >= 0 || raw.IndexOf("\\uD"u8) >= 0) && !IsUnicode(row.Json)) throw row.Error("a text holds one half of a pair (\\ud800 to \\udfff) without the other, which is no character; write both, or leave it out.");
        return row;
    }

    /// <summary>False where a name or a text holds half of a surrogate pair.</summary>
    private static bool IsUnicode(JsonElement json)
    {
        try
        {
            return json.ValueKind switch
            {
                JsonValueKind.Object => json.EnumerateObject().All(p => p.Name is not null && IsUnicode(p.Value)),
                JsonValueKind.Array => json.EnumerateArray().All(IsUnicode),
                JsonValueKind.String => json.GetString() is not null,
                _ => true,
            };
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Checks the whole file in blocks, a character that straddles two blocks included.</summary>
    private static void CheckUtf8(string path)
    {
        using var file = File.OpenRead(path);
        byte[] buffer = new byte[1 << 16];
        long start = 0; // offset of buffer[0] in the file
        int line = 1, held = 0;
        for (bool last = false; !last;)
        {
            int read = file.Read(buffer, held, buffer.Length - held), filled = held + read, valid = 0;
            last = read == 0;
            if (last ? Utf8.IsValid(buffer.AsSpan(0, filled)) : buffer.AsSpan(0, filled).IndexOfAnyExceptInRange((byte)0, (byte)127) < 0) valid = filled;
            while (valid < filled)
            {
                var status = System.Text.Rune.DecodeFromUtf8(buffer.AsSpan(valid, filled - valid), out _, out int bytes);
                if (status == OperationStatus.NeedMoreData && !last) break;
                if (status != OperationStatus.Done)
                {
                    line += buffer.AsSpan(0, valid).Count((byte)'\n');
                    throw new LiftException($"{path}: line {line} is not UTF-8: byte 0x{buffer[valid]:X2} at offset {start + valid} of the file; save the file as UTF-8.");
                }
                valid += bytes;
            }
            line += buffer.AsSpan(0, valid).Count((byte)'\n');
            held = filled - valid;
            buffer.AsSpan(valid, held).CopyTo(buffer);
            start += valid;
        }
    }

    private static Stream OpenAfterMark(string path)
    {
        var file = File.OpenRead(path);
        Span<byte> mark = stackalloc byte[3];
        if (file.ReadAtLeast(mark, 3, throwOnEndOfStream: false) < 3 || !mark.SequenceEqual("\uFEFF"u8)) file.Position = 0;
        return file;
    }

    private static int FirstCharacter(string path)
    {
        using var file = new BufferedStream(OpenAfterMark(path));
        int c;
        do c = file.ReadByte();
        while (c is ' ' or '\t' or '\r' or '\n');
        return c;
    }
}
