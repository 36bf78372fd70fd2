using Lift.Ort.Data;
using Lift.Ort.Data.Sounds;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Data;

/// <summary>Sounds as NumPy wrote them, and a mel spectrum from torch's Fourier transform (tools/reference/media).</summary>
[TestClass]
public sealed class SoundTests
{
    private static readonly string media = Path.Combine(TestFiles.Root, "tests/Lift.Ort.Tests/Data/media");

    [TestMethod]
    [DataRow("pcm8.wav", 5e-3f)]
    [DataRow("pcm16.wav", 2e-5f)]
    [DataRow("pcm24.wav", 2e-7f)]
    [DataRow("pcm32.wav", 1e-7f)]
    [DataRow("float.wav", 0f)]
    public void Samples_lie_between_minus_one_and_one(string name, float tolerance)
    {
        float[] wanted = NpyFile.Read(Path.Combine(media, "sound.npy")).ToFloats();
        var (samples, rate) = WavFile.Read(Path.Combine(media, name));
        Assert.AreEqual(8000, rate);
        for (int i = 0; i < wanted.Length; i++) Assert.AreEqual(wanted[i], samples[i], tolerance);
    }

    [TestMethod]
    public void Several_channels_become_their_mean()
    {
        float[] one = NpyFile.Read(Path.Combine(media, "sound.npy")).ToFloats(), both = WavFile.Read(Path.Combine(media, "stereo.wav")).Samples;
        for (int i = 0; i < one.Length; i++) Assert.AreEqual(0.75f * one[i], both[i], 5e-5f);
    }

    [TestMethod]
    public void The_mel_spectrum_is_that_of_torch()
    {
        float[] wanted = NpyFile.Read(Path.Combine(media, "mel.npy")).ToFloats();
        Tensor spectrum = SoundTensor.Read(Path.Combine(media, "pcm16.wav"), new(ElementType.Float, new("batch", 20, "frames")), new() { Window = 200, Hop = 80, Bands = 20, Seconds = 0.5 });
        CollectionAssert.AreEqual(new long[] { 20, 50 }, spectrum.Dims);
        for (int i = 0; i < wanted.Length; i++) Assert.AreEqual(wanted[i], spectrum.AsSpan<float>()[i], 2e-3f);
    }

    [TestMethod]
    public void Normalised_sounds_have_mean_zero_and_variance_one()
    {
        float[] samples = SoundTensor.Read(Path.Combine(media, "pcm16.wav"), new(ElementType.Float, new("batch", "samples")), new() { Normalize = true, Rate = 8000 }).ToFloats();
        Assert.AreEqual(0, samples.Average(), 1e-5);
        Assert.AreEqual(1, samples.Average(s => (double)s * s), 1e-3);
    }

    [TestMethod]
    public void Batches_are_padded_with_silence_and_masked()
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["rows.jsonl"], $$"""
            {"audio":"{{media}}/float.wav","label":"a"}
            {"audio":"{{media}}/pcm16.wav","label":"b"}
            """);
        GraphValue[] inputs = [new("input_values", new(ElementType.Float, new("batch", "samples"))), new("attention_mask", new(ElementType.Int64, new("batch", "samples"))), new("labels", new(ElementType.Int64, new Shape("batch")))];
        var batch = BatchReader.Open(temp["rows.jsonl"], null, inputs, new() { Shuffle = false, ClassNames = ["a", "b"] }).Next();
        CollectionAssert.AreEqual(new long[] { 2, 4000 }, batch.Values["input_values"].Dims);
        Assert.AreEqual(4400, batch.Values["attention_mask"].ToLongs().Sum());
        Assert.IsTrue(batch.Values["input_values"].ToFloats()[400..4000].All(v => v == 0));
    }

    [TestMethod]
    public void What_is_no_such_sound_is_one_sentence()
    {
        using var temp = TestFiles.Temp();
        byte[] whole = File.ReadAllBytes(Path.Combine(media, "pcm8.wav"));
        TensorType input = new(ElementType.Float, new("batch", "samples"));
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => SoundTensor.Read(Path.Combine(media, "pcm8.wav"), input, new() { Rate = 16000 })).Message, "has 8000 samples per second, but the model reads 16000");
        foreach (var (at, value, said) in new[] { (0, 65, "does not begin as one"), (20, 7, "holds format 7 with 8 bits"), (36, 65, "holds no samples"), (12, 65, "its format is missing") })
        {
            byte[] bytes = [.. whole];
            bytes[at] = (byte)value;
            File.WriteAllBytes(temp["x.wav"], bytes);
            StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => WavFile.Read(temp["x.wav"])).Message, said);
        }
        File.WriteAllBytes(temp["x.wav"], whole[..200]); // a recording that was cut off is read as far as it goes
        Assert.AreEqual(156, WavFile.Read(temp["x.wav"]).Samples.Length);
    }
}
