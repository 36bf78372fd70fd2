using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>NumPy's .npy files (format 1 to 3): one array of numbers, little-endian, row-major.</summary>
internal static partial class NpyFile
{
    private static readonly Dictionary<string, ElementType> types = new()
    {
        ["f4"] = ElementType.Float,
        ["f8"] = ElementType.Double,
        ["f2"] = ElementType.Float16,
        ["i8"] = ElementType.Int64,
        ["i4"] = ElementType.Int32,
        ["i2"] = ElementType.Int16,
        ["i1"] = ElementType.Int8,
        ["u1"] = ElementType.UInt8,
        ["b1"] = ElementType.Bool,
    };

    /// <exception cref="LiftException">It is no sound .npy file, or holds another byte order, Fortran order or Python objects.</exception>
    public static Tensor Read(string path)
    {
        if (!File.Exists(path)) throw new LiftException($"there is no file '{path}'.");
        byte[] bytes = File.ReadAllBytes(path);
        if (bytes.Length < 12 || !bytes.AsSpan(0, 6).SequenceEqual((ReadOnlySpan<byte>)[0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'])) throw Broken(path, "it does not begin as one");
        int at = bytes[6] == 1 ? 10 : 12;
        long length = bytes[6] == 1 ? BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(8)) : BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(8));
        if (at + length > bytes.Length) throw Broken(path, $"its header claims {length} bytes in a file of {bytes.Length}");
        string header = Encoding.UTF8.GetString(bytes, at, (int)length);
        Match match = Header().Match(header);
        if (!match.Success) throw Broken(path, $"its header is '{header.Trim()}'");
        if (match.Groups["order"].Value == "True") throw Broken(path, "its array is in Fortran order; write it with numpy.ascontiguousarray");
        string kind = match.Groups["type"].Value;
        if (kind[0] == '>' || !types.TryGetValue(kind[1..], out ElementType type)) throw Broken(path, $"its elements are '{kind}'; use little-endian float, int, uint8 or bool");
        try
        {
            long[] dims = [.. match.Groups["shape"].Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(d => long.Parse(d, CultureInfo.InvariantCulture))];
            long size = type.ByteLength(dims.Aggregate(1L, (n, d) => checked(n * d))), start = at + length;
            if (bytes.Length - start != size) throw Broken(path, $"its shape ({match.Groups["shape"].Value}) needs {size} bytes, but {bytes.Length - start} follow");
            Tensor tensor = Tensor.Empty(Path.GetFileName(path), type, dims);
            bytes.AsSpan((int)start).CopyTo(tensor.AsSpan<byte>());
            return tensor;
        }
        catch (Exception e) when (e is FormatException or OverflowException)
        {
            throw Broken(path, $"its shape is ({match.Groups["shape"].Value})");
        }
    }

    private static LiftException Broken(string path, string what) => new($"'{path}' is no .npy file that is read here: {what}.");

    [GeneratedRegex(@"'descr':\s*'(?<type>[<>|=]?\w\d+)'.*'fortran_order':\s*(?<order>True|False).*'shape':\s*\((?<shape>[\d,\s]*)\)")]
    private static partial Regex Header();
}
