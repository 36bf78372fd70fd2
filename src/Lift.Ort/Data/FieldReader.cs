using System.Text.Json;
using System.Text.RegularExpressions;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Reads what a row gives beside its text: numbers, nested lists of any depth, names of files, columns of a table.</summary>
internal sealed partial class FieldReader(ModelInputs model, DataOptions options)
{
    private static readonly string[] fileFields = ["image", FolderRows.FileField, "file", "path", "audio", "image_path", "audio_path", "filename", "filepath"];

    private readonly TableReader table = new(model, options);

    /// <summary>Every input of the model that is neither tokens nor labels, without the batch axis: its values, or the file that holds them.</summary>
    /// <param name="except">A field that was read already.</param>
    /// <exception cref="LiftException">A needed field is missing, ragged, or of the wrong type.</exception>
    public (Dictionary<string, Tensor> Values, Dictionary<string, FileTensor> Files) Read(DataRow row, string? except = null)
    {
        var values = new Dictionary<string, Tensor>();
        var files = new Dictionary<string, FileTensor>();
        foreach (GraphValue input in model.All)
        {
            if (input.Name == except || input == model.Tokens || model.Streams.IsTokens(input.Name) || input.Name is Batch.LabelsName or ModelInputs.DecoderIds) continue;
            if (row.Has(input.Name)) Take(input, input.Name);
            else if (!model.MustBeGiven(input)) continue;
            else if ((input == model.OnlyGiven || input == model.OnlyLarge) && FileField(row) is { } field) Take(input, field);
            else if (Likely(row, input) is { } own) Take(input, own);
            else if (input == model.OnlyGiven && table.Fits(input)) values[input.Name] = table.Read(row, input);
            else throw row.Error($"there is no field '{input.Name}' (fields: {row.Fields}), which the model reads as {input.Type}; {(input.Name == ModelInputs.EncoderStates ? "name the file that computes it with --encoder" : $"add it, or name the field that holds it with --inputs {input.Name}=FIELD")}.");
        }
        return (values, files);

        void Take(GraphValue input, string field)
        {
            JsonElement json = row.Json.GetProperty(field);
            if (json.ValueKind == JsonValueKind.String && (MediaFile.IsKnown(json.GetString()!) || !table.IsCategory(field))) files[input.Name] = MediaFile.Of(row, field, json.GetString()!, input, options);
            else values[input.Name] = Shaped(json.ValueKind == JsonValueKind.String ? table.Category(row, field, input.Type.Element) : table.Standard(field, Field(row, field, json, input.Type.Element)), input.Type);
        }
    }

    /// <summary>The first <paramref name="length"/> entries where a value has one per token; any other value as it is.</summary>
    public static Tensor Cut(Tensor value, int tokens, int length) => value.Dims is [var n] && n == tokens
        ? Retype(Tensor.From<byte>(value.Name, value.AsSpan<byte>()[..(length * value.Type.Bits() / 8)], length * value.Type.Bits() / 8), value.Type, [length])
        : value;

    /// <summary>Numbers in nested lists as a tensor; whole numbers as int64 and others as float where no type is wanted.</summary>
    public static Tensor Field(DataRow row, string field, JsonElement json, ElementType wanted)
    {
        var numbers = new List<double>();
        var dims = new List<long>();
        bool whole = true;
        Walk(json, 0);

        var type = wanted != ElementType.Undefined ? wanted : whole ? ElementType.Int64 : ElementType.Float;
        if (!type.IsFloat() && !whole) throw row.Wrong(field, json, "whole numbers");
        double most = Largest(type), least = type is ElementType.UInt8 or ElementType.Bool ? 0 : type.IsFloat() ? -most : -most - 1;
        if (numbers.Exists(n => n < least || n > most)) throw row.Wrong(field, json, FormattableString.Invariant($"{(type.IsFloat() ? "numbers" : "whole numbers")} from {least:G9} to {most:G9}, as the model reads them,"));
        var tensor = Tensor.Empty(field, type, [.. dims]);
        for (int i = 0; i < numbers.Count; i++) Set(tensor, i, numbers[i]);
        return tensor;

        void Walk(JsonElement value, int depth)
        {
            if (value.ValueKind is JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False)
            {
                if (depth != dims.Count) throw row.Error($"field '{field}' is ragged: lists of one depth have different depths; make it rectangular.");
                double number = value.ValueKind == JsonValueKind.Number ? value.GetDouble() : value.GetBoolean() ? 1 : 0;
                whole &= number == Math.Floor(number);
                numbers.Add(number);
                return;
            }
            if (value.ValueKind != JsonValueKind.Array) throw row.Wrong(field, value, "a number or a list of numbers");
            int length = value.GetArrayLength();
            if (dims.Count == depth && numbers.Count == 0) dims.Add(length);
            if (dims.Count <= depth || dims[depth] != length) throw row.Error($"field '{field}' is ragged: a list of {length} stands where others have {(dims.Count > depth ? dims[depth] : 0)} entries; make it rectangular.");
            foreach (var item in value.EnumerateArray()) Walk(item, depth + 1);
        }
    }

    /// <summary>The largest number of a type; infinite where files hold none that is too large.</summary>
    private static double Largest(ElementType type) => type switch
    {
        ElementType.UInt8 => byte.MaxValue,
        ElementType.Int8 => sbyte.MaxValue,
        ElementType.Int32 => int.MaxValue,
        ElementType.Int64 => 1L << 53, // what JSON's numbers hold exactly
        ElementType.Float16 => 65504,
        ElementType.Float or ElementType.BFloat16 => float.MaxValue,
        ElementType.Double => double.MaxValue,
        _ => double.PositiveInfinity,
    };

    /// <summary>Writes a number in the tensor's element type.</summary>
    public static void Set(Tensor tensor, int i, double value)
    {
        switch (tensor.Type)
        {
            case ElementType.Float: tensor.AsSpan<float>()[i] = (float)value; break;
            case ElementType.Double: tensor.AsSpan<double>()[i] = value; break;
            case ElementType.BFloat16: tensor.AsSpan<ushort>()[i] = HalfPrecision.Round((float)value, tensor.Type); break;
            case ElementType.Float16: tensor.AsSpan<Half>()[i] = (Half)value; break;
            case ElementType.Int64: tensor.AsSpan<long>()[i] = (long)value; break;
            case ElementType.Int32: tensor.AsSpan<int>()[i] = (int)value; break;
            case ElementType.UInt8 or ElementType.Int8: tensor.AsSpan<byte>()[i] = (byte)(long)value; break;
            case ElementType.Bool: tensor.AsSpan<byte>()[i] = (byte)(value != 0 ? 1 : 0); break;
            default: throw new LiftException($"The model's input '{tensor.Name}' holds {tensor.Type}, which data files cannot give; export it as float32 or int64.");
        }
    }

    /// <summary>The field that names a file where the model reads one thing only, whatever its name.</summary>
    private static string? FileField(DataRow row) => Array.Find(fileFields, f => row.Has(f) && row.Json.GetProperty(f).ValueKind == JsonValueKind.String);

    /// <summary>The field of one of several images or sounds by what its input's name has beside the kind: "anchor" or "image_anchor" for <c>anchor_pixel_values</c>.</summary>
    private static string? Likely(DataRow row, GraphValue input)
    {
        if (!input.Type.Element.IsFloat() || input.Type.Rank is < 2) return null;
        string rest = KindName().Replace(input.Name, "").Trim('_', '.', '-');
        bool named = rest.Length > 0 && rest != input.Name;
        string[] fields = named ? [rest, $"image_{rest}", $"image{rest}", $"{rest}_image", $"audio_{rest}", $"audio{rest}", $"{rest}_audio"] : rest.Length == 0 && input.Type.Rank == 4 ? ["image", "image_path"] : [];
        return Array.Find(fields, f => row.Has(f) && row.Json.GetProperty(f).ValueKind is JsonValueKind.String or JsonValueKind.Array);
    }

    [GeneratedRegex("pixel_values|images?|input_values|input_features|features|input|audio", RegexOptions.IgnoreCase)]
    private static partial Regex KindName();

    /// <summary>A number for an input of [batch, 1] is a list of one.</summary>
    private static Tensor Shaped(Tensor value, TensorType wanted) =>
        value.Dims.Length == 0 && wanted.Shape is { Rank: > 1 } shape && shape.Dims.Skip(1).All(d => d.Value is 1 or null) ? value.Reshape([.. Enumerable.Repeat(1L, shape.Rank - 1)]) : value;

    private static unsafe Tensor Retype(Tensor bytes, ElementType type, long[] dims) => new(bytes.Name, type, dims, bytes.Data, bytes);
}
