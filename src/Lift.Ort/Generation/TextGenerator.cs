using Lift.Ort.Data;

namespace Lift.Ort.Generation;

/// <summary>How tokens are chosen and when writing stops.</summary>
public sealed record GenerationOptions
{
    /// <summary>New tokens per prompt at most; default 256.</summary>
    public int MaxNewTokens { get; init; } = 256;

    /// <summary>Prompt and new tokens together at most; default no bound but the model's own.</summary>
    public int MaxLength { get; init; } = int.MaxValue;

    /// <summary>0 (the default) always takes the best token; above 0 draws, the flatter the higher.</summary>
    public double Temperature { get; init; }

    /// <summary>Draws among so many best tokens only; 0 (the default) among all.</summary>
    public int TopK { get; init; }

    /// <summary>Draws among the best tokens that hold this share of the probability; default 1, all.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Seed of the draws; default 0.</summary>
    public ulong Seed { get; init; }

    /// <summary>1 (the default) follows one continuation; more keep so many of the likeliest side by side, and nothing is drawn.</summary>
    public int Beams { get; init; } = 1;

    /// <summary>True (the default) lets a decoder with a key/value cache go on from what it computed; false reads the whole text for each token.</summary>
    public bool Cache { get; init; } = true;

    /// <summary>Tokens that texts will have at most.</summary>
    internal int RoomFor(IReadOnlyList<int[]> prompts) => (int)Math.Min(MaxLength, prompts.Select(p => (long)p.Length).DefaultIfEmpty().Max() + MaxNewTokens);

    /// <summary>Tokens that end a text; they are not part of the result.</summary>
    public IReadOnlyCollection<int> EndIds { get; init; } = [];
}

/// <summary>
/// Lets an exported language model go on writing, several prompts at a time. A step of a decoder with a key/value cache reads one token of each text; exports
/// without one read the whole texts. Rows that are done leave the batch.
/// </summary>
public sealed class TextGenerator(ExportedModel model, GenerationOptions options, int padId = 0)
{
    private readonly TokenSampler sampler = new(options);

    /// <param name="prompts">Token ids, each at least one.</param>
    /// <param name="onToken">Called with row and token as soon as a token is there; never with several beams, whose tokens may change.</param>
    /// <returns>The new tokens of each prompt.</returns>
    /// <exception cref="LiftException">The model gives no logits per token, or a prompt is empty.</exception>
    public int[][] Generate(IReadOnlyList<int[]> prompts, Action<int, int>? onToken = null, CancellationToken stop = default)
    {
        int empty = prompts.Index().FirstOrDefault(p => p.Item.Length == 0, (-1, [])).Index;
        if (empty >= 0) throw new LiftException($"Prompt {empty + 1} has no token to start from; give some text.");
        if (new ModelInputs(model.Inputs).Tokens is null) throw new LiftException($"'{model.Path}' reads no tokens (inputs: {string.Join(", ", model.Inputs.Select(i => i.Name))}); a language model writes text.");
        if (model.ReadsSource) throw new LiftException($"'{model.Path}' writes about a source that its encoder reads; give it sources.");
        return Generate(prompts, null, onToken, stop);
    }

    /// <summary>Writes a text about each source.</summary>
    /// <param name="sources">What the encoder reads, as <see cref="ExportedModel.RowInputs"/> say: tokens, sounds, images.</param>
    /// <param name="begin">The tokens that every text begins with, at least one.</param>
    /// <param name="onToken">As for prompts.</param>
    /// <returns>The new tokens of each text.</returns>
    /// <exception cref="LiftException">The model has no encoder, or it was not found, or cannot read a source.</exception>
    public int[][] Generate(IReadOnlyList<Example> sources, int[] begin, Action<int, int>? onToken = null, CancellationToken stop = default)
    {
        model.CheckEncoder();
        if (!model.ReadsSource) throw new LiftException($"'{model.Path}' has no decoder beside an encoder (inputs: {string.Join(", ", model.Inputs.Select(i => i.Name))}); give it prompts.");
        if (begin.Length == 0) throw new LiftException("A decoder needs a token to begin with; name it with --decoder-start.");
        return sources.Count == 0 ? [] : Generate([.. sources.Select(_ => begin)], new Sources(model, sources, padId), onToken, stop);
    }

    private int[][] Generate(IReadOnlyList<int[]> prompts, Sources? sources, Action<int, int>? onToken, CancellationToken stop) =>
        options.Beams > 1 ? new BeamSearch(model, options, padId).Generate(prompts, sources, stop) : Follow(prompts, sources, onToken, stop);

    private int[][] Follow(IReadOnlyList<int[]> prompts, Sources? sources, Action<int, int>? onToken, CancellationToken stop)
    {
        using var next = new NextTokens(model, padId, options.Cache, sources, options.RoomFor(prompts));
        var texts = prompts.Select(p => new List<int>(p)).ToArray();
        List<int> open = [.. Enumerable.Range(0, texts.Length).Where(i => Room(i))];
        while (open.Count > 0)
        {
            stop.ThrowIfCancellationRequested();
            open = [.. Step(next, texts, open, sources is not null).Where(n => Take(n.Row, n.Token)).Select(n => n.Row)];
        }
        return [.. texts.Select((t, i) => t[prompts[i].Length..].ToArray())];

        bool Room(int row) => texts[row].Count - prompts[row].Length < options.MaxNewTokens && texts[row].Count < Math.Min(options.MaxLength, next.LongestText);

        bool Take(int row, int token)
        {
            if (options.EndIds.Contains(token)) return false;
            texts[row].Add(token);
            onToken?.Invoke(row, token);
            return Room(row);
        }
    }

    private List<(int Row, int Token)> Step(NextTokens next, List<int>[] texts, List<int> rows, bool sourced)
    {
        var tokens = new List<(int, int)>();
        next.Read([.. rows.Select(r => texts[r].ToArray())], (i, logits) => tokens.Add((rows[i], sampler.Next(logits))), sourced ? rows : null);
        return tokens;
    }
}
