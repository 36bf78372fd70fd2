using System.Buffers.Binary;

namespace Lift.Ort.Data.Sounds;

/// <summary>WAV files: PCM of 8, 16, 24 and 32 bits and floats of 32 and 64; several channels become one, their mean.</summary>
internal static class WavFile
{
    private const int Pcm = 1, Float = 3, Extensible = 0xFFFE;

    /// <returns>Samples from −1 to 1, and how many a second has.</returns>
    /// <exception cref="LiftException">The file is missing, no WAV file, or holds another coding.</exception>
    public static (float[] Samples, int Rate) Read(string path)
    {
        if (!File.Exists(path)) throw new LiftException($"there is no file '{path}'.");
        byte[] bytes = File.ReadAllBytes(path);
        if (bytes.Length < 12 || !bytes.AsSpan(0, 4).SequenceEqual("RIFF"u8) || !bytes.AsSpan(8, 4).SequenceEqual("WAVE"u8)) throw Broken(path, "it does not begin as one");
        int format = 0, channels = 0, rate = 0, bits = 0;
        for (long at = 12; at + 8 <= bytes.Length;)
        {
            var id = bytes.AsSpan((int)at, 4);
            long length = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan((int)at + 4));
            long here = Math.Min(length, bytes.Length - at - 8); // a stream that was cut off says more than it has
            var data = bytes.AsSpan((int)at + 8, (int)here);
            if (id.SequenceEqual("fmt "u8))
            {
                if (data.Length < 16) throw Broken(path, "its format is cut off");
                (format, channels, rate, bits) = (Short(data, 0), Short(data, 2), BinaryPrimitives.ReadInt32LittleEndian(data[4..]), Short(data, 14));
                if (format == Extensible && data.Length >= 26) format = Short(data, 24);
            }
            if (id.SequenceEqual("data"u8))
            {
                if (channels < 1 || rate < 1) throw Broken(path, "its format is missing");
                if ((format, bits) is not ((Pcm, 8 or 16 or 24 or 32) or (Float, 32 or 64))) throw Broken(path, $"it holds format {format} with {bits} bits; save it as PCM of 16 bits");
                return (Mix(data, format, bits, channels), rate);
            }
            at += 8 + length + (length & 1);
        }
        throw Broken(path, "it holds no samples");
    }

    private static float[] Mix(ReadOnlySpan<byte> data, int format, int bits, int channels)
    {
        int size = bits / 8, count = data.Length / (size * channels);
        var samples = new float[count];
        for (int i = 0; i < count; i++)
        {
            double sum = 0;
            for (int c = 0; c < channels; c++) sum += Sample(data.Slice(((i * channels) + c) * size, size), format, bits);
            samples[i] = (float)(sum / channels);
        }
        return samples;
    }

    private static double Sample(ReadOnlySpan<byte> s, int format, int bits) => (format, bits) switch
    {
        (Float, 32) => BinaryPrimitives.ReadSingleLittleEndian(s),
        (Float, _) => BinaryPrimitives.ReadDoubleLittleEndian(s),
        (_, 8) => (s[0] - 128) / 128.0,
        (_, 16) => BinaryPrimitives.ReadInt16LittleEndian(s) / 32768.0,
        (_, 24) => ((s[0] << 8 | s[1] << 16 | s[2] << 24) >> 8) / 8388608.0,
        _ => BinaryPrimitives.ReadInt32LittleEndian(s) / 2147483648.0,
    };

    private static int Short(ReadOnlySpan<byte> s, int at) => BinaryPrimitives.ReadUInt16LittleEndian(s[at..]);

    private static LiftException Broken(string path, string what) => new($"'{path}' is no WAV file that is read here: {what}.");
}
