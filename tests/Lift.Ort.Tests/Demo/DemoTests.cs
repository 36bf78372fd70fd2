using System.Text.RegularExpressions;
using Lift.Ort.Demo;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Demo;

[TestClass]
public sealed partial class DemoTests
{
    private static readonly Measurement start = new(0.01, 5, 0.3);

    [TestMethod]
    public void The_same_seed_gives_the_same_rows_and_another_seed_others()
    {
        CollectionAssert.AreEqual(new Corpus(1).Rows(200).ToArray(), new Corpus(1).Rows(200).ToArray());
        CollectionAssert.AreNotEqual(new Corpus(1).Rows(200).ToArray(), new Corpus(2).Rows(200).ToArray());
    }

    [TestMethod]
    public void Sums_of_the_source_domain_are_right()
    {
        Match[] sums = [.. new Corpus(1).Rows(2000).Select(r => Sum().Match(r.Prompt + r.Completion)).Where(m => m.Success)];
        Assert.IsTrue(sums.Length > 500);
        foreach (Match sum in sums)
        {
            int a = int.Parse(sum.Groups[1].Value), b = int.Parse(sum.Groups[3].Value), result = int.Parse(sum.Groups[4].Value);
            Assert.AreEqual(sum.Groups[2].Value == "+" ? a + b : a - b, result, sum.Value);
            Assert.IsTrue(a <= Corpus.Largest && result is >= 0 and <= Corpus.Largest, sum.Value);
        }
    }

    [TestMethod]
    public void Test_problems_ask_about_pairs_of_numbers_that_training_problems_never_have()
    {
        var (train, test) = Problems.Make(500, 200, seed: 3);
        HashSet<string> trained = [.. train.Select(Pair)];
        Assert.AreEqual(0, test.Count(t => trained.Contains(Pair(t))));
        foreach (Row row in train.Concat(test))
        {
            int[] n = [.. Number().Matches(row.Prompt).Select(m => int.Parse(m.Value))];
            int expected = row.Prompt.Contains(" got ") ? n[0] + n[1] : Math.Abs(n[0] - n[1]);
            Assert.AreEqual(expected.ToString(), row.Completion, row.Prompt);
        }

        // In either order, so the pair counts without it.
        static string Pair(Row row) => string.Join(' ', Number().Matches(row.Prompt).Select(m => int.Parse(m.Value)).Order()) + row.Prompt.Contains(" got ");
    }

    [TestMethod]
    public void The_source_domain_has_none_of_the_target_s_words()
    {
        string source = string.Join('\n', new Corpus(1).Rows(5000).Select(r => r.Prompt + r.Completion));
        foreach (string word in new[] { "got", "lost", "more", "before", "left", "How many", " had " }) Assert.IsFalse(source.Contains(word), word);
    }

    [TestMethod]
    public void The_score_of_another_method_is_found_on_the_way_of_full_fine_tuning()
    {
        Measurement[] way = [start, new(0.2, 3, 0.4), new(0.6, 1, 0.8)];
        Measurement at = Report.AtScore(way, 0.4);
        Assert.AreEqual((0.4, 2.0, 0.6), (at.Score, Math.Round(at.TargetLoss, 9), Math.Round(at.SourceLoss, 9)));
        Assert.IsTrue(double.IsNaN(Report.AtScore(way, 0.7).SourceLoss));
        Assert.AreEqual(start, Report.AtScore(way, 0));
    }

    [TestMethod]
    [DataRow(0.60, 0.30, 0.8, "LIFT is better", "LIFT forgets less")]
    [DataRow(0.30, 0.60, 0.31, "the random mask is better", "LIFT does not forget less")]
    [DataRow(0.50, 0.51, 0.8, "no difference", "LIFT forgets less")]
    public void The_report_says_what_the_numbers_say(double lift, double random, double full, string better, string forgets)
    {
        string text = string.Join('\n', Report.Sentences(start, Around(lift), Around(random), new Report.Stored("", [new Report.StoredRuns(1e-3, [[new Point(1, new Measurement(lift, 1, full))]])])));
        StringAssert.Contains(text, better);
        StringAssert.Contains(text, forgets);

        static Measurement[] Around(double score) => [new(score - 0.02, 1, 0.35), new(score, 1, 0.35), new(score + 0.02, 1, 0.35)];
    }

    [TestMethod]
    public void The_model_is_small_and_ordinary()
    {
        string path = Path.Combine(TestFiles.Root, "tools", "demo", "model.onnx");
        Assert.IsTrue(new FileInfo(path).Length < 8_000_000);
        Assert.IsTrue(OnnxFile.Read(path).Nodes.All(n => n.Domain == ""), "standard operators only");
    }

    [GeneratedRegex(@"^(\d+) ?([+-]) ?(\d+) ?= ?(\d+)$")]
    private static partial Regex Sum();

    [GeneratedRegex(@"\d+")]
    private static partial Regex Number();
}
