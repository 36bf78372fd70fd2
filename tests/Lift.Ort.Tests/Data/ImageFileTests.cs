using Lift.Ort.Data;
using Lift.Ort.Data.Images;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Data;

/// <summary>Images as Pillow reads them (tools/reference/media).</summary>
[TestClass]
public sealed class ImageFileTests
{
    private static readonly string media = Path.Combine(TestFiles.Root, "tests/Lift.Ort.Tests/Data/media");

    public static IEnumerable<object[]> Images => Directory.GetFiles(media).Select(f => Path.GetFileName(f)!).Where(f => Path.GetExtension(f) is ".png" or ".bmp" or ".jpg").Select(f => new object[] { f });

    public static IEnumerable<object[]> Filters => Enum.GetValues<ImageFilter>().SelectMany(f => new[] { "smaller", "larger" }.Select(s => new object[] { f, s }));

    [TestMethod, DynamicData(nameof(Images))]
    public void Pixels_are_those_that_Pillow_reads(string name)
    {
        Tensor wanted = NpyFile.Read(Path.Combine(media, name + ".npy"));
        PixelImage image = ImageFile.Read(Path.Combine(media, name)).ToColour();
        CollectionAssert.AreEqual(wanted.Dims, new long[] { image.Height, image.Width, image.Channels });
        int allowed = name.EndsWith(".jpg") ? 3 : 0; // two right cosine transforms may round apart, and colour doubles that
        for (int i = 0; i < image.Pixels.Length; i++) Assert.AreEqual(wanted.AsSpan<byte>()[i], image.Pixels[i], allowed, $"{name}: value {i}");
    }

    [TestMethod, DynamicData(nameof(Filters))]
    public void Sizes_change_as_in_Pillow(ImageFilter filter, string size)
    {
        Tensor wanted = NpyFile.Read(Path.Combine(media, $"{filter.ToString().ToLowerInvariant()}.{size}.npy"));
        PixelImage image = Resampling.Resize(ImageFile.Read(Path.Combine(media, "colour.png")), (int)wanted.Dims[1], (int)wanted.Dims[0], filter);
        CollectionAssert.AreEqual(wanted.AsSpan<byte>().ToArray(), image.Pixels);
    }

    [TestMethod]
    [DataRow(0, 1, true)]
    [DataRow(0, 2, true)]
    [DataRow(0, 4, false)]
    [DataRow(0, 8, true)]
    [DataRow(0, 16, true)]
    [DataRow(2, 8, true)]
    [DataRow(2, 16, false)]
    [DataRow(4, 8, true)]
    [DataRow(6, 16, true)]
    public void Every_depth_and_filter_and_interlacing_is_read(int colour, int depth, bool interlaced)
    {
        const int Width = 13, Height = 11;
        int samples = colour switch { 0 => 1, 4 => 2, 2 => 3, _ => 4 }, shown = colour is 0 or 4 ? 1 : 3;
        var random = new Random(depth + colour);
        int[,,] values = new int[Height, Width, samples];
        for (int y = 0; y < Height; y++) for (int x = 0; x < Width; x++) for (int s = 0; s < samples; s++) values[y, x, s] = random.Next(1 << depth);
        using var temp = TestFiles.Temp();
        File.WriteAllBytes(temp["x.png"], PngWriter.Png(values, colour, depth, interlaced));
        PixelImage image = ImageFile.Read(temp["x.png"]);
        Assert.AreEqual((Width, Height, shown), (image.Width, image.Height, image.Channels));
        for (int y = 0; y < Height; y++)
            for (int x = 0; x < Width; x++)
                for (int s = 0; s < shown; s++)
                    Assert.AreEqual(depth == 16 ? values[y, x, s] >> 8 : values[y, x, s] * 255 / ((1 << depth) - 1), image.Pixels[(((y * Width) + x) * shown) + s], $"{x}, {y}, {s}");
    }

    [TestMethod]
    public void Resize_crop_scale_and_normalise_come_in_this_order()
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["preprocessor_config.json"], """{"do_resize":true,"size":{"shortest_edge":24},"resample":3,"do_center_crop":true,"crop_size":{"height":20,"width":20},"do_rescale":true,"rescale_factor":0.00392156862745098,"do_normalize":true,"image_mean":[0.48,0.46,0.41],"image_std":[0.27,0.26,0.28]}""");
        Tensor image = ImageTensor.Read(Path.Combine(media, "colour.png"), new(ElementType.Float, new("batch", 3, "h", "w")), ImageOptions.Read(temp["preprocessor_config.json"]));
        float[] wanted = NpyFile.Read(Path.Combine(media, "clip.npy")).ToFloats();
        CollectionAssert.AreEqual(new long[] { 3, 20, 20 }, image.Dims);
        for (int i = 0; i < wanted.Length; i++) Assert.AreEqual(wanted[i], image.AsSpan<float>()[i], 1e-5f);
    }

    [TestMethod]
    public void The_model_s_shape_says_layout_size_and_channels()
    {
        string file = Path.Combine(media, "colour.png");
        float[] first = ImageTensor.Read(file, new(ElementType.Float, new("b", 3, 8, 6)), new()).ToFloats(), last = ImageTensor.Read(file, new(ElementType.Float, new("b", 8, 6, 3)), new()).ToFloats();
        Assert.AreEqual(first.Length, last.Length);
        for (int c = 0; c < 3; c++) for (int i = 0; i < 48; i++) Assert.AreEqual(first[(c * 48) + i], last[(i * 3) + c]);
        float[] turned = ImageTensor.Read(file, new(ElementType.Float, new("b", 3, 8, 6)), new() { Bgr = true }).ToFloats();
        CollectionAssert.AreEqual(first[..48], turned[96..]);
        Assert.IsTrue(first.All(v => v is >= 0 and <= 1) && first.Max() > 0.9f);
        CollectionAssert.AreEqual(new long[] { 1, 8, 6 }, ImageTensor.Read(file, new(ElementType.Float, new("b", 1, 8, 6)), new()).Dims);
        Assert.AreEqual(ElementType.UInt8, ImageTensor.Read(file, new(ElementType.UInt8, new("b", "h", "w", 3)), new()).Type);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => ImageTensor.Read(file, new(ElementType.Float, new("b", 4, 8, 6)), new())).Message, "4 channels");
    }

    [TestMethod]
    [DataRow("""{"size":{"height":8,"width":6}}""", 6, 8, 0, 0)]
    [DataRow("""{"size":7}""", 7, 7, 0, 0)]
    [DataRow("""{"size":7,"do_center_crop":true,"crop_size":5}""", 0, 0, 7, 5)]
    [DataRow("""{"size":{"shortest_edge":224},"crop_pct":0.875}""", 0, 0, 256, 224)]
    [DataRow("""{"do_resize":false,"size":7}""", 0, 0, 0, 0)]
    public void Sizes_in_configurations_have_several_forms(string json, int width, int height, int edge, int crop)
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["p.json"], json);
        ImageOptions read = ImageOptions.Read(temp["p.json"]);
        Assert.AreEqual((width, height, edge, crop), (read.Width, read.Height, read.ShortestEdge, read.CropWidth));
    }

    [TestMethod]
    public void Damaged_images_are_one_sentence_and_never_a_crash()
    {
        using var temp = TestFiles.Temp();
        var random = new Random(3);
        int refused = 0;
        foreach (object[] row in Images)
        {
            byte[] whole = File.ReadAllBytes(Path.Combine(media, (string)row[0]));
            for (int i = 0; i < 120; i++)
            {
                byte[] bytes = [.. whole];
                if (i % 3 == 0) bytes = bytes[..random.Next(bytes.Length)];
                else for (int k = 0; k <= i % 5; k++) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                File.WriteAllBytes(temp["x"], bytes);
                try
                {
                    ImageFile.Read(temp["x"]);
                }
                catch (LiftException e)
                {
                    refused++;
                    StringAssert.Contains(e.Message, "is no image that is read here");
                }
            }
        }
        Assert.IsTrue(refused > 400, $"{refused} refused");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => ImageFile.Read(temp["none.png"])).Message, "there is no file");
    }
}
