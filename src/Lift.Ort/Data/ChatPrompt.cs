using System.Text.Json;

namespace Lift.Ort.Data;

/// <summary>Conversations: everything before the last assistant message is the prompt, that message is the target.</summary>
internal static class ChatPrompt
{
    /// <summary>Reads the field <c>messages</c>.</summary>
    /// <exception cref="LiftException">It is no list of <c>{"role", "content"}</c>, or no assistant message is in it.</exception>
    public static Prompt From(DataRow row, ITokenizer tokenizer)
    {
        var list = row.Json.GetProperty("messages");
        if (list.ValueKind != JsonValueKind.Array) throw row.Wrong("messages", list, "a list of {\"role\", \"content\"}");
        List<ChatMessage> messages = [.. list.EnumerateArray().Select(m => Message(row, m))];

        int last = messages.FindLastIndex(m => m.Role == "assistant");
        var (before, target) = last < 0 ? (messages, null) : (messages[..last], messages[last].Content);
        if (before.Count == 0) throw row.Error("field 'messages' holds no message before the assistant's; give the user's first.");
        string? gold = row.FirstText("answer") ?? target;
        return Answered(before, string.IsNullOrWhiteSpace(target) ? null : target, gold, tokenizer)
            ?? new Prompt(string.Concat(before.Select(m => $"{Title(m.Role)}: {m.Content}\n\n")) + "Assistant: ", target, gold);
    }

    /// <summary>The prompt by the tokenizer's chat template; null where it has none.</summary>
    public static Prompt? Answered(IReadOnlyList<ChatMessage> before, string? target, string? answer, ITokenizer tokenizer)
    {
        if (tokenizer.ApplyChatTemplate(before, true) is not { } prompt) return null;
        if (target is null) return new(prompt, null, answer, Special: true);

        string whole = tokenizer.ApplyChatTemplate([.. before, new("assistant", target)], false)!;
        // A template may write the finished turn differently from the open one; the target then simply follows the prompt.
        return whole.StartsWith(prompt, StringComparison.Ordinal)
            ? new(prompt, whole[prompt.Length..], answer, Special: true, EndsItself: true)
            : new(prompt, target, answer, Special: true);
    }

    private static ChatMessage Message(DataRow row, JsonElement message)
    {
        bool good = message.ValueKind == JsonValueKind.Object
            && message.TryGetProperty("role", out var r) && r.ValueKind == JsonValueKind.String
            && message.TryGetProperty("content", out var c) && c.ValueKind == JsonValueKind.String;
        return good ? new(message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()!)
            : throw row.Wrong("messages", message, "{\"role\": text, \"content\": text}");
    }

    private static string Title(string role) => role.Length == 0 ? role : char.ToUpperInvariant(role[0]) + role[1..];
}
