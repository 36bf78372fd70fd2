namespace Lift.Ort.Demo;

/// <summary>
/// The target domain: word problems with a number as answer, in templates and with words that the source domain does not have, the numbers in either
/// order. Training and test problems are made of different pairs of numbers, so that an answer cannot be remembered.
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

    /// <summary>About one pair in six, the same in either order, spread over all sums and differences.</summary>
    private static bool IsHeld(int a, int b) => (a + 1) * (b + 1) % 5 == 1;

    private static string Question(Corpus c, int a, char op, int b)
    {
        string name = c.Pick(Corpus.Names), thing = c.Pick(Corpus.Things);
        return op == '+'
            ? c.Pick([$"{name} had {a} {thing}. Then {name} got {b} more. How many are there? ", $"{name} got {b} {thing}. {name} had {a} before. How many are there? "])
            : c.Pick([$"{name} had {a} {thing}. Then {name} lost {b} of them. How many are left? ", $"{name} lost {b} {thing}. {name} had {a} before. How many are left? "]);
    }
}
