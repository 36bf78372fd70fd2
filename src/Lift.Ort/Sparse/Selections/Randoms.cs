namespace Lift.Ort.Sparse.Selections;

/// <summary>k entries at random, all sets equally likely (Floyd's sampling).</summary>
internal sealed class Random : ISelection
{
    public Selected Select(Candidate candidate)
    {
        var random = new System.Random(candidate.Seed);
        int count = (int)candidate.Weight.Count;
        var chosen = new HashSet<int>(candidate.K);
        for (int last = count - candidate.K; last < count; last++)
        {
            int drawn = random.Next(last + 1);
            if (!chosen.Add(drawn)) chosen.Add(last);
        }
        int[] positions = [.. chosen];
        Array.Sort(positions);
        return new Selected(positions);
    }
}

/// <summary>4×4 blocks of the matrix at random until k entries are reached; the last block, and blocks on the lower or right edge, count with the entries they have.</summary>
internal sealed class RandomBlock : ISelection
{
    private const int Side = 4;

    public Selected Select(Candidate candidate)
    {
        var (rows, columns) = candidate.Matrix;
        int across = (columns + Side - 1) / Side, down = (rows + Side - 1) / Side;
        int[] blocks = [.. Enumerable.Range(0, across * down)];
        new System.Random(candidate.Seed).Shuffle(blocks);
        var positions = new int[candidate.K];
        int at = 0;
        for (int b = 0; at < positions.Length; b++)
        {
            int top = blocks[b] / across * Side, left = blocks[b] % across * Side;
            for (int i = top; i < Math.Min(rows, top + Side); i++)
            {
                for (int j = left; j < Math.Min(columns, left + Side) && at < positions.Length; j++) positions[at++] = i * columns + j;
            }
        }
        Array.Sort(positions);
        return new Selected(positions);
    }
}

/// <summary>Every entry: plain AdamW.</summary>
internal sealed class Full : ISelection
{
    public bool SelectsAll => true;

    public Selected Select(Candidate candidate) => new([.. Enumerable.Range(0, checked((int)candidate.Weight.Count))]);
}
