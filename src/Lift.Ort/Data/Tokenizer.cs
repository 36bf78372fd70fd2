namespace Lift.Ort.Data;

/// <summary>Opens tokenizers.</summary>
public static class Tokenizer
{
    /// <summary>
    /// Opens "none" (null: the data holds ready tokens), "bytes", a folder with a Hugging Face <c>tokenizer.json</c>, or a SentencePiece <c>.model</c> file.
    /// </summary>
    /// <exception cref="LiftException">There is no such tokenizer, or its files cannot be read.</exception>
    public static ITokenizer? Open(string spec) => spec switch
    {
        "none" => null,
        "bytes" => new ByteTokenizer(),
        _ => throw new LiftException($"There is no tokenizer '{spec}'; give a folder with tokenizer.json, a SentencePiece .model file, bytes, or none."),
    };
}
