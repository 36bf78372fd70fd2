using System.CommandLine;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Generation;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift generate</c>: lets an exported model go on with a text.</summary>
internal sealed class GenerateCommand : LiftCommand
{
    private readonly Argument<string> model = new("MODEL") { Description = "The exported language model, an .onnx file." };
    private readonly Option<string> tokenizer = new("--tokenizer") { Description = "Folder with tokenizer.json, SentencePiece .model file, or bytes.", Required = true, HelpName = "TOKENIZER" };
    private readonly Option<string> prompt = new("--prompt") { Description = "The text to go on with; for an encoder-decoder what it shall write about, a text or the name of a file (sound, image, array).", Required = true, HelpName = "TEXT" };
    private readonly Option<int> maxNewTokens = Choices.Count("--max-new-tokens", "Tokens to write at most.", 128);
    private readonly Option<int> maxLength = Choices.Count("--max-length", "Prompt and new tokens together at most: the model's context.", 512);
    private readonly Option<double> temperature = new("--temperature") { Description = "0 always takes the best token; above 0 draws, the flatter the higher.", DefaultValueFactory = _ => 0, HelpName = "T" };
    private readonly Option<int> topK = new("--top-k") { Description = "Draws among so many best tokens; 0 among all.", DefaultValueFactory = _ => 0, HelpName = "K" };
    private readonly Option<double> topP = new("--top-p") { Description = "Draws among the best tokens that hold this share of the probability.", DefaultValueFactory = _ => 1, HelpName = "P" };
    private readonly Option<bool> chat = new("--chat") { Description = "Take the prompt as a user's message, by the tokenizer's chat template." };
    private readonly Option<bool> noCache = new("--no-cache") { Description = "Read the whole text for each token, also where the model has a key/value cache." };
    private readonly Option<int> beams = Choices.Count("--beams", "Continuations followed side by side; 1 follows the best token, more draw nothing.", 1);
    private readonly Option<string?> encoder = Choices.Encoder();
    private readonly Option<int?> decoderStart = new("--decoder-start") { Description = "Token that a decoder begins with; default: config.json beside the model, else the padding token.", HelpName = "ID" };
    private readonly Option<int> seed = Choices.Seed();
    private readonly Option<string> device = Choices.Device();

    public GenerateCommand() : base("generate", "Lets an exported language model go on with a text, token by token, to standard output.",
        "lift generate model.onnx --tokenizer tokenizer/ --prompt \"Once upon a time\" --temperature 0.8 --top-p 0.9")
    {
        Add(model);
        foreach (Option option in new Option[] { tokenizer, prompt, maxNewTokens, maxLength, temperature, topK, topP, beams, chat, noCache, encoder, decoderStart, seed, device }) Add(option);
        topP.Validators.Add(r => { if (r.GetValueOrDefault<double>() is not (> 0 and <= 1)) r.AddError("--top-p must lie above 0 and be at most 1."); });
        topK.Validators.Add(r => { if (r.GetValueOrDefault<int>() < 0) r.AddError("--top-k must be 0 or more."); });
        temperature.Validators.Add(r => { if (!(r.GetValueOrDefault<double>() >= 0)) r.AddError("--temperature must be 0 or more."); });
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        using ITokenizer words = Tokenizer.Open(line.GetValue(tokenizer)!) ?? throw new LiftException("Text cannot be written without a tokenizer; give --tokenizer a folder, a .model file, or bytes.");
        using IDevice place = Device.Open(line.GetValue(device)!);
        using ExportedModel exported = ExportedModel.Open(line.GetValue(model)!, place, encoder: line.GetValue(encoder));
        exported.CheckEncoder();
        var reader = exported.ReadsSource ? new SourceReader(exported, words, Rows(line)) : null;
        int[] ids = reader?.Begin ?? Ids(line, words);
        if (ids.Length >= line.GetValue(maxLength)) throw new LiftException($"The prompt has {ids.Length} tokens, but --max-length is {line.GetValue(maxLength)}; shorten it or raise --max-length.");

        var generator = new TextGenerator(exported, new GenerationOptions
        {
            MaxNewTokens = line.GetValue(maxNewTokens),
            MaxLength = line.GetValue(maxLength),
            Temperature = line.GetValue(temperature),
            TopK = line.GetValue(topK),
            TopP = line.GetValue(topP),
            Seed = (ulong)line.GetValue(seed),
            Beams = line.GetValue(beams),
            Cache = !line.GetValue(noCache),
            EndIds = words.EndId is { } end ? [end] : [],
        }, words.PadId ?? 0);
        var decoder = new StreamDecoder(words, ids);
        var text = new System.Text.StringBuilder();
        Action<int, int> give = (_, token) => Give(decoder.Add(token));
        int[][] written = reader is null ? generator.Generate([ids], give, stop) : generator.Generate([reader.Read(line.GetValue(prompt)!)], ids, give, stop);
        if (line.GetValue(beams) > 1) foreach (int token in written[0]) give(0, token);
        Give(decoder.Finish());
        if (output.WantsJson) output.Json(new { prompt = line.GetValue(prompt), text = text.ToString(), tokens = written[0].Length });
        else output.Text("\n");

        void Give(string piece)
        {
            text.Append(piece);
            if (!output.WantsJson) output.Text(piece);
        }
    }

    /// <summary>How a source becomes what an encoder reads: by the files beside the model.</summary>
    private DataOptions Rows(ParseResult line)
    {
        ModelNotes notes = ModelNotes.Beside(line.GetValue(model));
        bool image = notes.Preprocessor is not null && ImageOptions.IsMeant(notes.Preprocessor);
        return new()
        {
            MaxLength = line.GetValue(maxLength),
            DecoderStart = line.GetValue(decoderStart) ?? notes.DecoderStart,
            Image = image ? ImageOptions.Read(notes.Preprocessor!) : null,
            Audio = notes.Preprocessor is not null && !image ? AudioOptions.Read(notes.Preprocessor) : null,
        };
    }

    private int[] Ids(ParseResult line, ITokenizer words)
    {
        string text = line.GetValue(prompt)!;
        if (line.GetValue(chat)) text = words.ApplyChatTemplate([new("user", text)], true) ?? throw new LiftException($"The tokenizer '{words.Name}' has no chat template; leave --chat away.");
        return words.EncodeFromStart(text, special: line.GetValue(chat));
    }
}
