using Lift.Ort.Onnx;

namespace Lift.Ort.Data.Images;

/// <summary>An image as the input of a model: [channels, height, width], or [height, width, channels] where the model's own shape says so.</summary>
internal static class ImageTensor
{
    /// <exception cref="LiftException">The file is no image, or the input takes none.</exception>
    public static Tensor Read(string path, TensorType input, ImageOptions options)
    {
        if (input.Rank is not (4 or null)) throw new LiftException($"the model reads {input}, but an image has 4 axes with the batch; give an array (.npy) instead.");
        bool last = input.Shape is { } s && s[3].Value is 1 or 3 && s[1].Value is not (1 or 3);
        long? channels = input.Shape?[last ? 3 : 1].Value;
        if (channels is not (1 or 3 or null)) throw new LiftException($"the model reads {channels} channels ({input}); images have 1 or 3.");
        PixelImage image = ImageFile.Read(path);
        image = Sized(channels == 1 ? image.ToGrey() : image.ToColour(), Fixed(input.Shape, last ? 1 : 2), Fixed(input.Shape, last ? 2 : 3), options);
        return Numbers(image, input.Element == ElementType.Undefined ? ElementType.Float : input.Element, last, options);
    }

    /// <summary>The class of each pixel: grey values or palette indices, [height, width], resized without mixing classes.</summary>
    public static Tensor Classes(string path, TensorType labels, ImageOptions options)
    {
        PixelImage image = ImageFile.Read(path, indices: true).ToGrey();
        image = Sized(image, Fixed(labels.Shape, 1), Fixed(labels.Shape, 2), options with { Filter = ImageFilter.Nearest });
        Tensor classes = Tensor.Empty(Batch.LabelsName, ElementType.Int64, [image.Height, image.Width]);
        Span<long> values = classes.AsSpan<long>();
        for (int i = 0; i < values.Length; i++) values[i] = image.Pixels[i] == 255 ? Example.Ignored : image.Pixels[i]; // 255 is the usual mark of pixels that do not count
        return classes;
    }

    private static int Fixed(Shape? shape, int axis) => (int)(shape is { } s && axis < s.Rank ? s[axis].Value ?? 0 : 0);

    private static PixelImage Sized(PixelImage image, int modelHeight, int modelWidth, ImageOptions o)
    {
        if (o.ShortestEdge > 0)
        {
            bool tall = image.Height >= image.Width;
            int longer = (int)((long)o.ShortestEdge * Math.Max(image.Width, image.Height) / Math.Min(image.Width, image.Height));
            image = Resampling.Resize(image, tall ? o.ShortestEdge : longer, tall ? longer : o.ShortestEdge, o.Filter);
        }
        else if (o.Width > 0 && o.Height > 0) image = Resampling.Resize(image, o.Width, o.Height, o.Filter);
        else if (o.CropWidth == 0 && modelWidth > 0 && modelHeight > 0) image = Resampling.Resize(image, modelWidth, modelHeight, o.Filter);
        return o.CropWidth > 0 && o.CropHeight > 0 ? Crop(image, o.CropWidth, o.CropHeight) : image;
    }

    private static PixelImage Crop(PixelImage image, int width, int height)
    {
        byte[] pixels = new byte[width * height * image.Channels];
        int left = FloorHalf(image.Width - width), top = FloorHalf(image.Height - height);
        for (int y = Math.Max(0, -top); y < Math.Min(height, image.Height - top); y++)
        {
            int from = Math.Max(0, -left), to = Math.Min(width, image.Width - left);
            image.Pixels.AsSpan((((y + top) * image.Width) + from + left) * image.Channels, (to - from) * image.Channels).CopyTo(pixels.AsSpan(((y * width) + from) * image.Channels));
        }
        return new(width, height, image.Channels, pixels);
    }

    private static int FloorHalf(int difference) => difference >> 1;

    private static Tensor Numbers(PixelImage image, ElementType type, bool last, ImageOptions o)
    {
        int channels = image.Channels, area = image.Width * image.Height;
        Tensor tensor = Tensor.Empty("image", type, last ? [image.Height, image.Width, channels] : [channels, image.Height, image.Width]);
        for (int c = 0; c < channels; c++)
        {
            double mean = Of(o.Mean, c, 0), deviation = Of(o.Deviation, c, 1);
            int from = o.Bgr ? channels - 1 - c : c;
            for (int i = 0; i < area; i++)
            {
                byte pixel = image.Pixels[(i * channels) + from];
                int at = last ? (i * channels) + c : (c * area) + i;
                if (type == ElementType.UInt8) tensor.AsSpan<byte>()[at] = pixel;
                else if (type == ElementType.Float) tensor.AsSpan<float>()[at] = (float)(((pixel * o.Scale) - mean) / deviation);
                else FieldReader.Set(tensor, at, ((pixel * o.Scale) - mean) / deviation);
            }
        }
        return tensor;
    }

    private static double Of(IReadOnlyList<double> values, int channel, double otherwise) => values.Count == 0 ? otherwise : values[Math.Min(channel, values.Count - 1)];
}
