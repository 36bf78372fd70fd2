using System.Text.Json;

namespace Lift.Ort.Data;

/// <summary>How an image's size is changed; the numbers are those of <c>resample</c> in Hugging Face's configurations.</summary>
public enum ImageFilter
{
    Nearest,
    Lanczos,
    Bilinear,
    Bicubic,
    Box,
    Hamming,
}

/// <summary>How an image becomes numbers: resized, cropped around its centre, scaled, normalised, in this order.</summary>
public sealed record ImageOptions
{
    /// <summary>Size after resizing; 0 (the default) takes the model's own where it is fixed, else leaves the image as it is.</summary>
    public int Width { get; init; }

    public int Height { get; init; }

    /// <summary>Length of the shorter edge after resizing, the other one in proportion; overrides <see cref="Width"/> and <see cref="Height"/>. Default 0: not used.</summary>
    public int ShortestEdge { get; init; }

    /// <summary>Size of the crop around the centre, filled up with black; default 0: none.</summary>
    public int CropWidth { get; init; }

    public int CropHeight { get; init; }

    /// <summary>Default <see cref="ImageFilter.Bilinear"/>.</summary>
    public ImageFilter Filter { get; init; } = ImageFilter.Bilinear;

    /// <summary>A pixel's 0 to 255 is multiplied by it; default 1/255.</summary>
    public double Scale { get; init; } = 1 / 255.0;

    /// <summary>Subtracted after scaling, one number or one per channel; default 0.</summary>
    public IReadOnlyList<double> Mean { get; init; } = [];

    /// <summary>Divides after <see cref="Mean"/>, one number or one per channel; default 1.</summary>
    public IReadOnlyList<double> Deviation { get; init; } = [];

    /// <summary>True gives blue, green, red; default red, green, blue.</summary>
    public bool Bgr { get; init; }

    /// <summary>Reads Hugging Face's <c>preprocessor_config.json</c>.</summary>
    /// <exception cref="LiftException">The file is no JSON, or an entry has another form.</exception>
    public static ImageOptions Read(string path) => Preprocessor.Read(path, json =>
    {
        bool resizes = Preprocessor.Flag(json, "do_resize", true), crops = Preprocessor.Flag(json, "do_center_crop", json.TryGetProperty("crop_size", out _));
        var (width, height, edge) = resizes ? Size(json, "size", crops) : default;
        var (cropWidth, cropHeight, cropEdge) = crops ? Size(json, "crop_size", false) : default;
        if (Preprocessor.Number(json, "crop_pct") is { } share && edge is > 0 and < 384) (edge, cropWidth, cropHeight) = ((int)(edge / share), edge, edge); // ConvNeXt: resize a little larger, crop the rest
        else if (Preprocessor.Number(json, "crop_pct") is not null && edge >= 384) (width, height, edge) = (edge, edge, 0);
        bool normalises = Preprocessor.Flag(json, "do_normalize", true);
        return new ImageOptions
        {
            Width = width,
            Height = height,
            ShortestEdge = edge,
            CropWidth = Math.Max(cropWidth, cropEdge),
            CropHeight = Math.Max(cropHeight, cropEdge),
            Filter = Preprocessor.Number(json, "resample") is { } filter && Enum.IsDefined((ImageFilter)(int)filter) ? (ImageFilter)(int)filter : ImageFilter.Bilinear,
            Scale = Preprocessor.Flag(json, "do_rescale", true) ? Preprocessor.Number(json, "rescale_factor") ?? (1 / 255.0) : 1,
            Mean = normalises ? Preprocessor.Numbers(json, "image_mean") : [],
            Deviation = normalises ? Preprocessor.Numbers(json, "image_std") : [],
            Bgr = Preprocessor.Flag(json, "do_flip_channel_order", false),
        };
    });

    /// <summary>True where a <c>preprocessor_config.json</c> is for images, not for sounds.</summary>
    /// <exception cref="LiftException">The file is no JSON.</exception>
    public static bool IsMeant(string path) => Preprocessor.IsImage(path);

    /// <summary>What will be done, in words.</summary>
    public override string ToString()
    {
        var steps = new List<string>();
        if (ShortestEdge > 0) steps.Add($"shorter edge {ShortestEdge}");
        else if (Width > 0) steps.Add($"resized to {Width} x {Height}");
        if (CropWidth > 0) steps.Add($"cropped to {CropWidth} x {CropHeight}");
        steps.Add(Scale == 1 ? "0 to 255" : FormattableString.Invariant($"times {Scale:G4}"));
        if (Mean.Count > 0) steps.Add($"mean {string.Join(" ", Mean)}, deviation {string.Join(" ", Deviation)}");
        return string.Join(", ", steps);
    }

    /// <summary>A size is a number (both edges, or the shorter one where the image is cropped after), {height, width} or {shortest_edge}.</summary>
    private static (int Width, int Height, int Edge) Size(JsonElement json, string name, bool crops)
    {
        if (!json.TryGetProperty(name, out JsonElement size)) return default;
        if (size.ValueKind == JsonValueKind.Number) return crops ? (0, 0, size.GetInt32()) : (size.GetInt32(), size.GetInt32(), 0);
        if (size.ValueKind == JsonValueKind.Array) return (size[1].GetInt32(), size[0].GetInt32(), 0);
        if (size.TryGetProperty("shortest_edge", out JsonElement edge)) return (0, 0, edge.GetInt32());
        return (size.GetProperty("width").GetInt32(), size.GetProperty("height").GetInt32(), 0);
    }
}
