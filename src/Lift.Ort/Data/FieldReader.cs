using System.Text.Json;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Reads numbers, nested lists of any depth, into tensors of the type that the model's input has.</summary>
internal static class FieldReader
{
    /// <summary>Every field that is an input of the model, without the batch axis.</summary>
    /// <exception cref="LiftException">A needed field is missing, ragged, of the wrong type, or a class out of range.</exception>
    public static Dictionary<string, Tensor> Read(DataRow row, ModelInputs model, DataOptions options, string? except = null)
    {
        var values = new Dictionary<string, Tensor>();
        foreach (var input in model.All)
        {
            if (input.Name == except || input == model.Tokens || input.Name == Batch.LabelsName) continue;
            if (row.Has(input.Name)) values[input.Name] = Field(row, input.Name, input.Type.Element);
            else if (model.MustBeGiven(input)) throw row.Error($"there is no field '{input.Name}' (fields: {row.Fields}), which the model reads as {input.Type}; add it.");
        }
        bool tokenLabels = model.Tokens is not null && !model.WholeRowLabels && row.Json.TryGetProperty(Batch.LabelsName, out var list) && list.ValueKind == JsonValueKind.Array;
        if (tokenLabels || (model.Tokens is not null && !row.Has(Batch.LabelsName))) return values;

        string name = row.Has(Batch.LabelsName) ? Batch.LabelsName : "label";
        if (!row.Has(name)) throw row.Error($"there is no field '{Batch.LabelsName}' (fields: {row.Fields}); add it.");
        foreach (var (key, value) in Labels(row, name, model, options)) values[key] = value;
        return values;
    }

    /// <summary>A row's labels that are not per token: a class (int64) or what the model's labels input holds.</summary>
    public static Dictionary<string, Tensor> Labels(DataRow row, string field, ModelInputs model, DataOptions options)
    {
        var wanted = model.Labels?.Type.Element ?? ElementType.Undefined;
        var tensor = Field(row, field, wanted);
        if (tensor.Type == ElementType.Int64)
        {
            foreach (long label in tensor.AsSpan<long>())
            {
                if (label != Example.Ignored && (label < 0 || label >= (options.Classes ?? int.MaxValue)))
                    throw row.Error($"label {label} in field '{field}' is out of range: the model scores classes 0 to {options.Classes - 1}, and -100 is ignored.");
            }
        }
        return new() { [Batch.LabelsName] = tensor.Rename(Batch.LabelsName) };
    }

    /// <summary>The first <paramref name="length"/> entries where a value has one per token; any other value as it is.</summary>
    public static Tensor Cut(Tensor value, int tokens, int length) => value.Dims is [var n] && n == tokens
        ? Retype(Tensor.From<byte>(value.Name, value.AsSpan<byte>()[..(length * value.Type.Bits() / 8)], length * value.Type.Bits() / 8), value.Type, [length])
        : value;

    private static unsafe Tensor Retype(Tensor bytes, ElementType type, long[] dims) => new(bytes.Name, type, dims, bytes.Data, bytes);

    private static Tensor Field(DataRow row, string field, ElementType wanted)
    {
        var json = row.Json.GetProperty(field);
        var numbers = new List<double>();
        var dims = new List<long>();
        bool whole = true;
        Walk(json, 0);

        var type = wanted != ElementType.Undefined ? wanted : whole ? ElementType.Int64 : ElementType.Float;
        if (!type.IsFloat() && !whole) throw row.Wrong(field, json, "whole numbers");
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

    private static void Set(Tensor tensor, int i, double value)
    {
        switch (tensor.Type)
        {
            case ElementType.Float: tensor.AsSpan<float>()[i] = (float)value; break;
            case ElementType.Double: tensor.AsSpan<double>()[i] = value; break;
            case ElementType.Float16: tensor.AsSpan<Half>()[i] = (Half)value; break;
            case ElementType.Int64: tensor.AsSpan<long>()[i] = (long)value; break;
            case ElementType.Int32: tensor.AsSpan<int>()[i] = (int)value; break;
            case ElementType.UInt8 or ElementType.Int8: tensor.AsSpan<byte>()[i] = (byte)(long)value; break;
            case ElementType.Bool: tensor.AsSpan<byte>()[i] = (byte)(value != 0 ? 1 : 0); break;
            default: throw new LiftException($"The model's input '{tensor.Name}' holds {tensor.Type}, which data files cannot give; export it as float32 or int64.");
        }
    }
}
