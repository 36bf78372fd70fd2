using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Lift.Ort.Data;

/// <summary>
/// Reads comma- or tab-separated values (RFC 4180) with a header line as rows of JSON: a cell that is spelt as a number is one, an empty cell is null, anything
/// else is a text. Quotes may hold separators, line breaks and doubled quotes.
/// </summary>
internal static partial class CsvFile
{
    public static bool IsTable(string path) => Path.GetExtension(path).ToLowerInvariant() is ".csv" or ".tsv";

    /// <exception cref="LiftException">No header, a column named twice or not at all, a row of another width, a quote that never ends.</exception>
    public static IEnumerable<DataRow> Read(string path, Stream file)
    {
        using var text = new StreamReader(file, Encoding.UTF8, detectEncodingFromByteOrderMarks: true, bufferSize: 1 << 16);
        char separator = Path.GetExtension(path).Equals(".tsv", StringComparison.OrdinalIgnoreCase) ? '\t' : ',';
        var lines = new Lines(text, separator, path);
        if (lines.Next() is not { } header) yield break;
        string[] names = [.. header.Select(n => n.Trim())];
        if (names.Any(n => n.Length == 0)) throw new LiftException($"{path}: line 1 has a column without a name; the first line names every column.");
        if (names.GroupBy(n => n).FirstOrDefault(g => g.Count() > 1) is { } twice) throw new LiftException($"{path}: line 1 names the column '{twice.Key}' twice; rename one.");

        while (lines.Next() is { } cells)
        {
            if (cells is [""]) continue;
            if (cells.Count != names.Length)
                throw new LiftException($"{path}: line {lines.Begin} has {cells.Count} cells, but the header names {names.Length} columns; put cells that hold '{separator}' in quotes.");
            yield return new DataRow(path, "line", lines.Begin, Object(names, cells));
        }
    }

    private static JsonElement Object(string[] names, List<string> cells)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            for (int i = 0; i < names.Length; i++)
            {
                json.WritePropertyName(names[i]);
                string cell = cells[i].Trim();
                if (cell.Length == 0) json.WriteNullValue();
                else if (Number(cell) is { } number) json.WriteRawValue(number);
                else json.WriteStringValue(cells[i]);
            }
            json.WriteEndObject();
        }
        return JsonElement.Parse(bytes.ToArray());
    }

    /// <summary>The number as JSON spells it: .5 and +2 are numbers too, 007 (a code) and nan are not.</summary>
    private static string? Number(string cell)
    {
        if (JsonNumber().IsMatch(cell)) return cell;
        string digits = cell.TrimStart('+', '-');
        if (digits.Length == 0 || !(char.IsAsciiDigit(digits[0]) || digits[0] == '.') || (digits.Length > 1 && digits[0] == '0' && char.IsAsciiDigit(digits[1]))) return null;
        return double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value)
            ? long.TryParse(cell, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole) ? whole.ToString(CultureInfo.InvariantCulture) : value.ToString("R", CultureInfo.InvariantCulture)
            : null;
    }

    [GeneratedRegex(@"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$")]
    private static partial Regex JsonNumber();

    /// <summary>Splits a text into records and cells.</summary>
    private sealed class Lines(StreamReader text, char separator, string path)
    {
        private int line = 1;

        /// <summary>The line on which the latest record begins.</summary>
        public int Begin { get; private set; }

        public List<string>? Next()
        {
            if (text.Peek() < 0) return null;
            Begin = line;
            var cells = new List<string>();
            var cell = new StringBuilder();
            bool quoted = false, wasQuoted = false;
            while (true)
            {
                int c = text.Read();
                if (c < 0 && quoted) throw new LiftException($"{path}: the quote that begins in line {Begin} never ends; close it.");
                if (quoted && c == '"' && text.Peek() == '"') cell.Append((char)text.Read());
                else if (quoted && c == '"') quoted = false;
                else if (quoted) Append(c);
                else if (c == '"' && cell.Length == 0 && !wasQuoted) quoted = wasQuoted = true;
                else if (c == separator) End();
                else if (c is '\n' or < 0)
                {
                    if (c == '\n') line++;
                    if (cell.Length > 0 && cell[^1] == '\r') cell.Length--;
                    End();
                    return cells;
                }
                else cell.Append((char)c);
            }

            void Append(int c)
            {
                if (c == '\n') line++;
                cell.Append((char)c);
            }

            void End()
            {
                cells.Add(cell.ToString());
                cell.Clear();
                wasQuoted = false;
            }
        }
    }
}
