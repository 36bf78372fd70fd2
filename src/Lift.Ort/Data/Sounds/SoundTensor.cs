using Lift.Ort.Onnx;

namespace Lift.Ort.Data.Sounds;

/// <summary>A sound as the input of a model: its samples, or its mel spectrum for inputs of [batch, bands, frames].</summary>
internal static class SoundTensor
{
    /// <exception cref="LiftException">The file is no WAV file, has another rate than the model, or no samples.</exception>
    public static Tensor Read(string path, TensorType input, AudioOptions options)
    {
        var (samples, rate) = WavFile.Read(path);
        if (options.Rate > 0 && rate != options.Rate) throw new LiftException($"'{path}' has {rate} samples per second, but the model reads {options.Rate}; convert the file to that rate.");
        if (samples.Length == 0) throw new LiftException($"'{path}' holds no sound.");
        if (input.Rank == 3 && input.Shape![1].Value is not 1) return MelSpectrum.Of(samples, rate, options);
        if (options.Normalize) Normalise(samples);
        Tensor tensor = Tensor.From<float>("sound", samples, samples.Length);
        return input.Rank == 3 ? tensor.Reshape(1, samples.Length) : tensor;
    }

    private static void Normalise(float[] samples)
    {
        double mean = samples.Average(s => (double)s), variance = samples.Average(s => (s - mean) * (s - mean)), scale = 1 / Math.Sqrt(variance + 1e-7);
        for (int i = 0; i < samples.Length; i++) samples[i] = (float)((samples[i] - mean) * scale);
    }
}
