namespace Lift.Ort.Data;

/// <summary>How a sound becomes numbers: samples from −1 to 1, one channel, or the logarithm of a mel spectrum where the model reads one.</summary>
public sealed record AudioOptions
{
    /// <summary>Samples per second that the model was made for; a file of another rate is refused. Default 0: any.</summary>
    public int Rate { get; init; }

    /// <summary>True brings each sound to mean 0 and variance 1; default false.</summary>
    public bool Normalize { get; init; }

    /// <summary>Bands of the mel spectrum for models that read <c>[batch, bands, frames]</c>; default 80.</summary>
    public int Bands { get; init; } = 80;

    /// <summary>Samples of one Fourier transform; default 400.</summary>
    public int Window { get; init; } = 400;

    /// <summary>Samples between two transforms; default 160.</summary>
    public int Hop { get; init; } = 160;

    /// <summary>Seconds to which a sound is cut or filled up with silence for a spectrum; default 30; 0: as long as it is.</summary>
    public double Seconds { get; init; } = 30;

    /// <summary>Reads Hugging Face's <c>preprocessor_config.json</c>.</summary>
    /// <exception cref="LiftException">The file is no JSON, or an entry has another form.</exception>
    public static AudioOptions Read(string path) => Preprocessor.Read(path, json => new AudioOptions
    {
        Rate = (int)(Preprocessor.Number(json, "sampling_rate") ?? 0),
        Normalize = Preprocessor.Flag(json, "do_normalize", false),
        Bands = (int)(Preprocessor.Number(json, "feature_size") ?? 80),
        Window = (int)(Preprocessor.Number(json, "n_fft") ?? 400),
        Hop = (int)(Preprocessor.Number(json, "hop_length") ?? 160),
        Seconds = Preprocessor.Number(json, "chunk_length") ?? 30,
    });

    /// <summary>What will be done, in words.</summary>
    public override string ToString() => $"{(Rate > 0 ? $"{Rate} Hz" : "any rate")}{(Normalize ? ", mean 0 and variance 1" : "")}";
}
