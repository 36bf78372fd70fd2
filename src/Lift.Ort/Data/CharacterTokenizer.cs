using System.Text;
using System.Text.Json;

namespace Lift.Ort.Data;

/// <summary>
/// Letters as tokens, as speech models that are trained with CTC spell (wav2vec 2.0 and its kin): a <c>vocab.json</c> of one id per letter, <c>|</c> between
/// words, <c>&lt;pad&gt;</c> for no symbol. A letter that the vocabulary lacks is tried in the other case, then becomes <c>&lt;unk&gt;</c>.
/// </summary>
public sealed class CharacterTokenizer : ITokenizer
{
    private const string Between = "|", Unknown = "<unk>";

    private readonly Dictionary<string, int> ids;
    private readonly Dictionary<int, string> texts;

    /// <param name="path">The vocabulary: a JSON object of texts and ids.</param>
    /// <exception cref="LiftException">The file is missing or has another form.</exception>
    public CharacterTokenizer(string path)
    {
        Name = path;
        try
        {
            ids = JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllBytes(path)) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new LiftException($"'{path}' is no vocabulary of letters ({e.Message.TrimEnd('.')}); give a vocab.json of one id per letter.", e);
        }
        if (ids.Count == 0) throw new LiftException($"'{path}' is an empty vocabulary.");
        texts = ids.GroupBy(i => i.Value).ToDictionary(g => g.Key, g => g.First().Key);
        VocabularySize = ids.Values.Max() + 1;
    }

    public string Name { get; }

    public int VocabularySize { get; }

    public int? BeginId => null;

    public int? EndId => null;

    public int? PadId => ids.TryGetValue("<pad>", out int id) ? id : ids.TryGetValue("[PAD]", out id) ? id : null;

    public IReadOnlyList<int> Prefix => [];

    public IReadOnlyList<int> Suffix => [];

    /// <exception cref="LiftException">A letter has no id, and the vocabulary no unknown one.</exception>
    public int[] Encode(string text, bool special = false) => [.. text.Trim().EnumerateRunes().Select(r => IdOf(r.ToString()))];

    public string Decode(ReadOnlySpan<int> ids)
    {
        var text = new StringBuilder();
        foreach (int id in ids)
        {
            if (texts.TryGetValue(id, out string? piece) && piece.EnumerateRunes().Count() == 1) text.Append(piece == Between ? " " : piece);
        }
        return text.ToString();
    }

    public string? ApplyChatTemplate(IReadOnlyList<ChatMessage> messages, bool generationPrompt) => null;

    public void Dispose() { }

    private int IdOf(string letter)
    {
        if (string.IsNullOrWhiteSpace(letter) && ids.ContainsKey(Between)) letter = Between;
        foreach (string form in (string[])[letter, letter.ToUpperInvariant(), letter.ToLowerInvariant(), Unknown])
        {
            if (ids.TryGetValue(form, out int id)) return id;
        }
        throw new LiftException($"'{Name}' has no id for the letter '{letter}'; leave it out of the texts, or take a vocabulary with <unk>.");
    }
}
