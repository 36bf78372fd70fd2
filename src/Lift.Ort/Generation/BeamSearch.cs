namespace Lift.Ort.Generation;

/// <summary>
/// Keeps the likeliest <c>Beams</c> continuations of each prompt side by side. A continuation's score is its log probability divided by its length, end token
/// included; a prompt is done when no open beam can still beat its worst finished one (the rules of the published runs' library: length penalty 1, no early stop).
/// </summary>
internal sealed class BeamSearch(ExportedModel model, GenerationOptions options, int padId)
{
    /// <returns>The new tokens of each prompt's best continuation, without the end token.</returns>
    public int[][] Generate(IReadOnlyList<int[]> prompts, Sources? sources = null, CancellationToken stop = default)
    {
        using var next = new NextTokens(model, padId, options.Cache, sources, options.RoomFor(prompts));
        Hypotheses[] all = [.. prompts.Select((p, i) => new Hypotheses(p, i, options))];
        for (int length = 1; length <= options.MaxNewTokens; length++)
        {
            stop.ThrowIfCancellationRequested();
            Hypotheses[] open = [.. all.Where(h => !h.Done && h.PromptLength + length <= Math.Min(options.MaxLength, next.LongestText))];
            if (open.Length == 0) break;
            (Hypotheses Of, int Beam)[] rows = [.. open.SelectMany(h => Enumerable.Range(0, h.Open.Count).Select(b => (h, b)))];
            next.Read([.. rows.Select(r => r.Of.Text(r.Beam))], (i, logits) => rows[i].Of.Offer(rows[i].Beam, logits), sources is null ? null : [.. rows.Select(r => r.Of.Index)]);
            foreach (var h in open) h.Advance();
        }
        return [.. all.Select(h => h.Best())];
    }

    private sealed record Beam(int[] Tokens, double LogProbability);

    /// <summary>The beams of one prompt.</summary>
    private sealed class Hypotheses(int[] prompt, int index, GenerationOptions options)
    {
        private readonly List<(int[] Tokens, double Score)> finished = [];
        private readonly PriorityQueue<(int Beam, int Token, double Sum), double> offers = new(); // the worst of the best comes out first

        public List<Beam> Open { get; private set; } = [new([], 0)];

        public bool Done { get; private set; }

        /// <summary>Which of all prompts it is.</summary>
        public int Index => index;

        public int PromptLength => prompt.Length;

        public int[] Text(int beam) => [.. prompt, .. Open[beam].Tokens];

        /// <summary>Keeps the best 2 · beams continuations: so many that enough are left when every other one ends.</summary>
        public void Offer(int beam, ReadOnlySpan<float> logits)
        {
            double norm = LossMetric.LogSumExp(logits);
            for (int token = 0; token < logits.Length; token++)
            {
                double sum = Open[beam].LogProbability + logits[token] - norm;
                if (offers.Count < 2 * options.Beams) offers.Enqueue((beam, token, sum), sum);
                else if (offers.TryPeek(out _, out double worst) && sum > worst) offers.EnqueueDequeue((beam, token, sum), sum);
            }
        }

        public void Advance()
        {
            int length = Open[0].Tokens.Length + 1, rank = 0;
            double best = double.NegativeInfinity;
            var going = new List<Beam>();
            foreach (var (beam, token, sum) in offers.UnorderedItems.Select(i => i.Element).OrderByDescending(o => o.Sum).ThenBy(o => o.Beam).ThenBy(o => o.Token))
            {
                best = Math.Max(best, sum);
                bool ends = options.EndIds.Contains(token);
                if (ends && rank < options.Beams) Finish(Open[beam].Tokens, sum / length);
                if (!ends && going.Count < options.Beams) going.Add(new([.. Open[beam].Tokens, token], sum));
                rank++;
            }
            offers.Clear();
            Open = going;
            Done = going.Count == 0 || (finished.Count >= options.Beams && finished[^1].Score >= best / length);
        }

        public int[] Best()
        {
            if (!Done) foreach (var beam in Open) Finish(beam.Tokens, beam.LogProbability / Math.Max(1, beam.Tokens.Length));
            return finished.Count > 0 ? finished[0].Tokens : [];
        }

        private void Finish(int[] tokens, double score)
        {
            finished.Add((tokens, score));
            finished.Sort((a, b) => b.Score.CompareTo(a.Score));
            if (finished.Count > options.Beams) finished.RemoveAt(finished.Count - 1);
        }
    }
}
