namespace Lift.Ort.Onnx;

/// <summary>What an input is to a decoder, where its readers tell it: one that only carries lengths or a buffer is never data.</summary>
internal enum InputRole
{
    /// <summary>As its name and type say.</summary>
    None,

    /// <summary>Tokens that the cache holds already.</summary>
    PastLength,

    /// <summary>Tokens that are read now.</summary>
    NewLength,

    /// <summary>Both together; per row, those that count.</summary>
    TotalLength,

    /// <summary>The place of a row's last token: its total length less 1.</summary>
    LastIndex,

    /// <summary>Places of the cache, one for each token that is read now.</summary>
    Places,

    /// <summary>A cache whose operator knows how much of it is filled, so that an empty one will do.</summary>
    Measured,

    /// <summary>A cache that is written in place: as long as all that it will ever hold.</summary>
    Buffer,

    /// <summary>A cache of the latest tokens: new ones come in behind, and the oldest fall out.</summary>
    Window,
}
