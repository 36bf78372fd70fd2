using System.Globalization;
using System.Xml.Linq;

/// Reads what a test run left behind and ends the build when a test failed.
static class TestReport
{
    public static void Print(ICakeContext context, DirectoryPath results)
    {
        string folder = results.FullPath;
        string trx = System.IO.Path.Combine(folder, "tests.trx");
        if (!System.IO.File.Exists(trx)) throw new CakeException("The test run left no results: it crashed or did not start");
        // The collector leaves the same report twice.
        if (System.IO.Directory.GetFiles(folder, "coverage.cobertura.xml", System.IO.SearchOption.AllDirectories) is [var coverage, ..])
            PrintCoverage(XDocument.Load(coverage));

        var run = XDocument.Load(trx);
        foreach (var slow in run.Descendants().Where(e => e.Name.LocalName == "UnitTestResult")
            .OrderByDescending(e => (string)e.Attribute("duration") ?? "").Take(5))
            Console.WriteLine($"  {(string)slow.Attribute("duration"),18}  {(string)slow.Attribute("testName")}");

        var counters = run.Descendants().Single(e => e.Name.LocalName == "Counters");
        int Count(string name) => (int?)counters.Attribute(name) ?? 0;
        int passed = Count("passed"), failed = Count("failed") + Count("error") + Count("timeout") + Count("aborted");
        int skipped = Count("total") - passed - failed;
        bool crashed = run.Descendants().Any(e => e.Name.LocalName == "ResultSummary" && (string)e.Attribute("outcome") == "Aborted");
        // build.sh and build.ps1 print this as their last line, below Cake's own table.
        System.IO.File.WriteAllText(System.IO.Path.Combine(folder, "summary.txt"), $"{passed} passed, {failed} failed, {skipped} skipped\n");
        if (crashed) throw new CakeException("The test run was cut off");
        if (failed > 0 || passed == 0) throw new CakeException($"{failed} tests failed");
    }

    /// Line coverage of src/Lift.Ort by room; a line counts once, however many classes of a file name it.
    static void PrintCoverage(XDocument report)
    {
        var files = report.Descendants("class")
            .GroupBy(c => ((string)c.Attribute("filename")).Replace('\\', '/'))
            .Select(f => (File: f.Key, Lines: f.SelectMany(c => c.Descendants("line")).GroupBy(l => (int)l.Attribute("number")).Select(l => l.Max(x => (int)x.Attribute("hits")) > 0).ToList()))
            .ToList();
        string Room(string file)
        {
            string[] parts = file.Split('/');
            int at = Array.LastIndexOf(parts, "Lift.Ort") + 1;
            return at < parts.Length - 1 ? parts[at] : ".";
        }
        Console.WriteLine("Line coverage of src/Lift.Ort (without what needs a GPU and without what protoc writes):");
        foreach (var room in files.GroupBy(f => Room(f.File)).OrderBy(r => r.Key, StringComparer.Ordinal))
            Console.WriteLine(Share(room.Key, room.SelectMany(f => f.Lines)));
        Console.WriteLine(Share("all", files.SelectMany(f => f.Lines)));
    }

    static string Share(string name, IEnumerable<bool> lines)
    {
        var all = lines.ToList();
        return string.Create(CultureInfo.InvariantCulture, $"  {name,-14} {100.0 * all.Count(hit => hit) / Math.Max(1, all.Count),6:F1} %  of {all.Count} lines");
    }
}
