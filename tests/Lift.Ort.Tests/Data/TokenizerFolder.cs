using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lift.Ort.Tests.Data;

/// <summary>Writes small Hugging Face tokenizer folders: byte-level BPE as GPT-2 and Llama 3 have it.</summary>
internal static class TokenizerFolder
{
    /// <summary>Ids 0 to 255 are the bytes, then the merges, then the special tokens.</summary>
    public static void Write(string folder, bool addsBegin = true, bool chat = false, params string[] merges)
    {
        Directory.CreateDirectory(folder);
        string[] pieces = [.. Enumerable.Range(0, 256).Select(b => Letter(b).ToString()), .. merges.Select(m => m.Replace(" ", ""))];
        int first = pieces.Length;
        string[] special = ["<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"];
        var tokenizer = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. special.Select((s, i) => Added(first + i, s))]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = true },
            ["post_processor"] = addsBegin ? Template(first) : new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = true },
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = true, ["trim_offsets"] = true, ["use_regex"] = true },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = "",
                ["end_of_word_suffix"] = "",
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["vocab"] = new JsonObject(pieces.Select((p, i) => KeyValuePair.Create(p, (JsonNode?)i))),
                ["merges"] = new JsonArray([.. merges.Select(m => (JsonNode?)m)]),
            },
        };
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer.ToJsonString());
        var config = new JsonObject
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["bos_token"] = "<s>",
            ["eos_token"] = new JsonObject { ["content"] = "</s>", ["lstrip"] = false },
            ["pad_token"] = "<pad>",
        };
        if (chat) config["chat_template"] = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), config.ToJsonString());
    }

    /// <summary>GPT-2's printable stand-in for a byte.</summary>
    public static char Letter(int b)
    {
        bool printable = b is >= 33 and <= 126 or >= 161 and <= 172 or >= 174 and <= 255;
        if (printable) return (char)b;
        int n = Enumerable.Range(0, b).Count(i => i is not (>= 33 and <= 126 or >= 161 and <= 172 or >= 174 and <= 255));
        return (char)(256 + n);
    }

    private static JsonNode Added(int id, string text) => new JsonObject
    {
        ["id"] = id,
        ["content"] = text,
        ["single_word"] = false,
        ["lstrip"] = false,
        ["rstrip"] = false,
        ["normalized"] = false,
        ["special"] = true,
    };

    private static JsonObject Template(int begin) => new()
    {
        ["type"] = "TemplateProcessing",
        ["single"] = JsonNode.Parse("""[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}]"""),
        ["pair"] = JsonNode.Parse("""[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}]"""),
        ["special_tokens"] = new JsonObject { ["<s>"] = new JsonObject { ["id"] = "<s>", ["ids"] = new JsonArray(begin), ["tokens"] = new JsonArray("<s>") } },
    };
}
