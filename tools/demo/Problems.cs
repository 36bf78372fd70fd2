namespace Lift.Ort.Demo;

/// <summary>
/// The target domain: word problems with a number as answer, in templates that the source domain does not have. Training and test problems are
/// made of different pairs of numbers, so that an answer cannot be remembered.
/// </summary>
internal static class Problems
{
    /// <summary>Problems to learn from, and problems that ask about other pairs of numbers.</summary>
    public static (Row[] Train, Row[] Test) Make(int train, int test, int seed)
    {
        var corpus = new Corpus(seed);
        return ([.. Of(corpus, held: false).Take(train)], [.. Of(corpus, held: true).Take(test)]);
    }

    private static IEnumerable<Row> Of(Corpus corpus, bool held)
    {
        while (true)
        {
            var (a, op, b, result) = corpus.Calculation();
            if (IsHeld(a, b) == held) yield return new Row(Question(corpus, a, op, b), $"{result}");
        }
    }

    /// <summary>About one pair in five, spread evenly.</summary>
    private static bool IsHeld(int a, int b) => (7 * a + 3 * b) % 5 == 0;

    private static string Question(Corpus c, int a, char op, int b)
    {
        string name = c.Pick(Corpus.Names), thing = c.Pick(Corpus.Things);
        return op == '+'
            ? c.Pick([$"{name} has {a} {thing} and gets {b} more. Now: ", $"{name} had {a} {thing}, then won {b}. Total: "])
            : c.Pick([$"{name} has {a} {thing} and gives {b} away. Now: ", $"{name} had {a} {thing}, then lost {b}. Total: "]);
    }
}
