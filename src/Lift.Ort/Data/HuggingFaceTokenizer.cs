using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lift.Ort.Data;

/// <summary>A Hugging Face tokenizer folder (<c>tokenizer.json</c>, <c>tokenizer_config.json</c>), run by ONNX Runtime Extensions. Special tokens in a text are always read as such.</summary>
public sealed unsafe partial class HuggingFaceTokenizer : ITokenizer
{
    private readonly OrtxHandle tokenizer;
    private readonly HuggingFaceConfig config;

    /// <param name="folder">Holds tokenizer.json.</param>
    /// <exception cref="LiftException">A file is missing or the library cannot read it.</exception>
    public HuggingFaceTokenizer(string folder)
    {
        Name = folder;
        config = HuggingFaceConfig.Read(folder);
        tokenizer = Open(folder);
        SetSpecialTokens(true);
        int[] dressed = Run("a");
        SetSpecialTokens(false);
        int[] plain = Run("a");
        int at = dressed.AsSpan().IndexOf(plain);
        (Prefix, Suffix) = at < 0 || plain.Length == 0 ? ([], []) : (dressed[..at], dressed[(at + plain.Length)..]);
    }

    public string Name { get; }

    public int VocabularySize => config.VocabularySize;

    public int? BeginId => config.BeginId;

    public int? EndId => config.EndId;

    public int? PadId => config.PadId;

    public IReadOnlyList<int> Prefix { get; }

    public IReadOnlyList<int> Suffix { get; }

    public int[] Encode(string text, bool special = false) => text.Length == 0 ? [] : Run(text);

    public (int[] Ids, int[] Segments) Pair(int[] first, int[] second) => (config.Pair ?? PairTemplate.Plain([.. Prefix], [.. Suffix])).Apply(first, second);

    public string Decode(ReadOnlySpan<int> ids)
    {
        uint[] kept = [.. ids.ToArray().Where(id => id >= 0 && !config.SpecialIds.Contains(id)).Select(id => (uint)id)];
        if (kept.Length == 0) return "";
        fixed (uint* first = kept)
        {
            Ortx.Detokenize(tokenizer, first, (nuint)kept.Length, out var texts).ThrowIfFailed();
            using (texts)
            {
                Ortx.StringsGetItem(texts, 0, out byte* text).ThrowIfFailed();
                return Marshal.PtrToStringUTF8((nint)text)!;
            }
        }
    }

    public string? ApplyChatTemplate(IReadOnlyList<ChatMessage> messages, bool generationPrompt)
    {
        if (!config.HasChatTemplate) return null;
        byte[] json = [.. JsonSerializer.SerializeToUtf8Bytes(messages, ChatJson.Default.IReadOnlyListChatMessage), 0];
        fixed (byte* input = json)
        {
            try
            {
                Ortx.ApplyChatTemplate(tokenizer, null, input, null, out var result, generationPrompt, false).ThrowIfFailed();
                using (result)
                {
                    Ortx.TensorResultGetAt(result, 0, out var tensor).ThrowIfFailed();
                    using (tensor)
                    {
                        Ortx.GetTensorData(tensor, out void* data, out _, out _).ThrowIfFailed();
                        return Marshal.PtrToStringUTF8((nint)data)!;
                    }
                }
            }
            catch (OrtxException e)
            {
                throw new LiftException($"{Name}: the tokenizer's chat template cannot be applied to {string.Join(", ", messages.Select(m => m.Role))} ({e.Reason.Trim()}); use other roles, or text, prompt and completion rows.", e);
            }
        }
    }

    public void Dispose() => tokenizer.Dispose();

    private int[] Run(string text)
    {
        byte* utf8 = (byte*)Marshal.StringToCoTaskMemUTF8(text.Replace("\0", ""));
        try
        {
            Ortx.Tokenize(tokenizer, &utf8, 1, out var result).ThrowIfFailed();
            using (result)
            {
                Ortx.TokenIdsGetItem(result, 0, out uint* item, out nuint length).ThrowIfFailed();
                return MemoryMarshal.Cast<uint, int>(new ReadOnlySpan<uint>(item, (int)length)).ToArray();
            }
        }
        finally
        {
            Marshal.FreeCoTaskMem((nint)utf8);
        }
    }

    private void SetSpecialTokens(bool added)
    {
        fixed (byte* key = "add_special_tokens\0"u8, value = added ? "true\0"u8 : "false\0"u8)
        {
            byte* k = key, v = value;
            Ortx.UpdateTokenizerOptions(tokenizer, &k, &v, 1).ThrowIfFailed();
        }
    }

    private static OrtxHandle Open(string folder)
    {
        try
        {
            Ortx.CreateTokenizer(out var handle, folder).ThrowIfFailed();
            return handle;
        }
        catch (OrtxException e)
        {
            throw new LiftException($"{folder} is no tokenizer that ONNX Runtime Extensions can read ({e.Reason.Trim()}); give a Hugging Face folder with tokenizer.json and tokenizer_config.json.", e);
        }
    }

    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
    [JsonSerializable(typeof(IReadOnlyList<ChatMessage>))]
    private sealed partial class ChatJson : JsonSerializerContext;
}
