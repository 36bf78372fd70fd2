using Lift.Ort.Data.Images;
using Lift.Ort.Data.Sounds;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Files that a row names: images, sounds, arrays.</summary>
internal static class MediaFile
{
    /// <summary>What is read, in words.</summary>
    public const string Kinds = ".png, .jpg, .bmp, .wav, .npy or .safetensors files";

    private static readonly string[] images = [".png", ".jpg", ".jpeg", ".bmp"];

    public static bool IsKnown(string name) => Kind(name) is ".wav" or ".npy" or ".safetensors" || images.Contains(Kind(name));

    /// <summary>The file that a field names, relative to the data file's folder; a tensor of a .safetensors file is named after '#'.</summary>
    /// <param name="input">What the model reads from it; <c>labels</c> are the classes of pixels.</param>
    /// <exception cref="LiftException">The name is of no kind that is read, or there is no such file.</exception>
    public static FileTensor Of(DataRow row, string field, string name, GraphValue input, DataOptions options)
    {
        if (!IsKnown(name)) throw row.Error($"field '{field}' holds the text '{(name.Length > 40 ? name[..40] + "…" : name)}', where the model reads {input.Type}; give numbers, or the name of {Kinds}.");
        string path = Path.GetFullPath(Path.Combine(row.Folder, name.Split('#')[0]));
        if (!File.Exists(path)) throw row.Error($"field '{field}' names the file '{name}', but there is no '{path}'.");
        TensorType type = input.Type;
        bool labels = input.Name == Batch.LabelsName;
        return new FileTensor(row.Where, input.Name, path, Kind(name) switch
        {
            ".npy" => p => Typed(NpyFile.Read(p), type),
            ".safetensors" => p => Typed(FromSafetensors(p, name, input.Name), type),
            ".wav" => p => Typed(SoundTensor.Read(p, type, options.Audio ?? new()), type),
            _ when labels => p => ImageTensor.Classes(p, type, options.Image ?? new()),
            _ => p => ImageTensor.Read(p, type, options.Image ?? new()),
        });
    }

    private static string Kind(string name) => Path.GetExtension(name.Split('#')[0]).ToLowerInvariant();

    private static Tensor FromSafetensors(string path, string name, string input)
    {
        var tensors = Safetensors.Read(path).Tensors;
        string wanted = name.Split('#') is [_, var part] ? part : tensors.Count == 1 ? tensors.Keys.First() : input;
        return tensors.TryGetValue(wanted, out Tensor? tensor) ? tensor : throw new LiftException($"'{path}' has no tensor '{wanted}'; it has: {string.Join(", ", tensors.Keys)} (name one after '#').");
    }

    /// <summary>The values in the element type that the model reads.</summary>
    public static Tensor Typed(Tensor value, TensorType wanted)
    {
        if (wanted.Element == ElementType.Undefined || value.Type == wanted.Element) return value;
        Tensor result = Tensor.Empty(value.Name, wanted.Element, value.Dims);
        if (value.Type is ElementType.Int64 or ElementType.Int32)
        {
            long[] whole = value.ToLongs();
            for (int i = 0; i < whole.Length; i++) FieldReader.Set(result, i, whole[i]);
            return result;
        }
        if (!wanted.Element.IsFloat() && value.Type.IsFloat()) throw new LiftException($"it holds {value.Type} where the model reads {wanted}; write whole numbers.");
        float[] numbers = value.ToFloats();
        for (int i = 0; i < numbers.Length; i++) FieldReader.Set(result, i, numbers[i]);
        return result;
    }
}
