namespace Lift.Ort.Data;

/// <summary>Opens tokenizers.</summary>
public static class Tokenizer
{
    /// <summary>
    /// Opens "none" (null: the data holds ready tokens), "bytes", a folder with a Hugging Face <c>tokenizer.json</c> (or, where that is absent,
    /// a SentencePiece <c>tokenizer.model</c>, or a <c>vocab.json</c> of letters), or a SentencePiece <c>.model</c> file.
    /// </summary>
    /// <exception cref="LiftException">There is no such tokenizer, or its files cannot be read.</exception>
    public static ITokenizer? Open(string spec) => spec switch
    {
        "none" => null,
        "bytes" => new ByteTokenizer(),
        _ when File.Exists(Path.Combine(spec, "tokenizer.json")) => new HuggingFaceTokenizer(spec),
        _ when File.Exists(Path.Combine(spec, "tokenizer.model")) => new SentencePieceTokenizer(Path.Combine(spec, "tokenizer.model")),
        _ when File.Exists(Path.Combine(spec, "vocab.json")) => new CharacterTokenizer(Path.Combine(spec, "vocab.json")),
        _ when Path.GetFileName(spec) == "vocab.json" && File.Exists(spec) => new CharacterTokenizer(spec),
        _ when Directory.Exists(spec) => throw new LiftException($"There is neither tokenizer.json nor tokenizer.model in '{spec}'; give the folder that holds one of them."),
        _ when Path.GetFileName(spec) == "tokenizer.json" && File.Exists(spec) => new HuggingFaceTokenizer(Path.GetDirectoryName(Path.GetFullPath(spec))!),
        _ when File.Exists(spec) => new SentencePieceTokenizer(spec),
        _ => throw new LiftException($"There is no tokenizer '{spec}'; give a folder with tokenizer.json, a SentencePiece .model file, bytes, or none."),
    };

    /// <summary>The ids of a text that a model shall read from its start: <see cref="ITokenizer.Prefix"/>, unless the text spells it out, then the text's own.</summary>
    /// <param name="special">As in <see cref="ITokenizer.Encode"/>.</param>
    public static int[] EncodeFromStart(this ITokenizer tokenizer, string text, bool special = false)
    {
        int[] ids = tokenizer.Encode(text, special);
        bool begun = tokenizer.Prefix.Count == 0 || (special && ids.Length > 0 && ids[0] == tokenizer.Prefix[0]);
        return begun ? ids : [.. tokenizer.Prefix, .. ids];
    }
}
