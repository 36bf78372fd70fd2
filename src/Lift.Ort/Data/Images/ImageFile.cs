namespace Lift.Ort.Data.Images;

/// <summary>Reads PNG, JPEG and BMP files; what a file is says its beginning, not its name.</summary>
internal static class ImageFile
{
    private const long LargestImage = 1L << 28; // pixels; a small file may claim to be any size

    /// <param name="indices">True keeps the palette's indices (classes of pixels) instead of its colours.</param>
    /// <exception cref="LiftException">The file is missing, of another kind, or damaged.</exception>
    public static PixelImage Read(string path, bool indices = false)
    {
        if (!File.Exists(path)) throw new LiftException($"there is no file '{path}'.");
        byte[] bytes = File.ReadAllBytes(path);
        try
        {
            return bytes switch
            {
                [0x89, (byte)'P', (byte)'N', (byte)'G', ..] => PngFile.Read(bytes, indices),
                [0xFF, 0xD8, ..] => JpegFile.Read(bytes),
                [(byte)'B', (byte)'M', ..] => BmpFile.Read(bytes, indices),
                [] => throw new ImageException("it is empty"),
                _ => throw new ImageException("it begins as neither PNG, JPEG nor BMP"),
            };
        }
        catch (Exception e) when (e is ImageException or IndexOutOfRangeException or ArgumentException or InvalidDataException or EndOfStreamException or OverflowException)
        {
            string why = e is ImageException ? e.Message : "its contents end early or contradict each other";
            throw new LiftException($"'{path}' is no image that is read here: {why}.", e);
        }
    }

    /// <summary>Refuses sizes that no image has.</summary>
    public static void CheckSize(long width, long height)
    {
        if (width < 1 || height < 1 || width * height > LargestImage) throw new ImageException($"it claims to be {width} x {height} pixels");
    }
}

/// <summary>What is wrong with an image, as the end of a sentence.</summary>
internal sealed class ImageException(string message) : Exception(message);
