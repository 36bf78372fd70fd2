using System.Xml.Linq;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

[TestClass]
public sealed class LineChartTests
{
    private static readonly XNamespace svg = "http://www.w3.org/2000/svg";

    [TestMethod]
    [DataRow(0.0, 10.0, new[] { 0.0, 2, 4, 6, 8, 10 })]
    [DataRow(0.13, 0.87, new[] { 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9 })]
    [DataRow(-3.0, 3.0, new[] { -3.0, -2, -1, 0, 1, 2, 3 })]
    [DataRow(5.0, 5.0, new[] { 4.4, 4.6, 4.8, 5, 5.2, 5.4, 5.6 })]
    public void Ticks_are_round_numbers_around_the_values(double low, double high, double[] expected)
    {
        double[] ticks = LineChart.Ticks([high, low]);
        Assert.AreEqual(string.Join(' ', expected.Select(t => t.ToString("F3"))), string.Join(' ', ticks.Select(t => t.ToString("F3"))));
    }

    [TestMethod]
    public void Every_curve_is_drawn_inside_the_picture_and_named()
    {
        var long_ = new Curve("a < b", [.. Enumerable.Range(1, 200).Select(i => ((double)i, 5.0 / i))]);
        var broken = new Curve("c", [(1, 1), (2, double.NaN), (3, double.PositiveInfinity), (4, 2)]);
        XElement picture = XElement.Parse(LineChart.Draw("T & t", "x", "y", [long_, broken]));

        XElement[] lines = [.. picture.Elements(svg + "polyline")];
        Assert.AreEqual(3, lines.Length, "raw and average of the long curve, one line for the short one");
        double[][] points = [.. lines.Last().Attribute("points")!.Value.Split(' ').Select(p => p.Split(',').Select(double.Parse).ToArray())];
        Assert.AreEqual(2, points.Length, "values that are not finite are left out");
        Assert.IsTrue(points[0][1] > points[1][1], "larger values stand higher");
        foreach (double[] point in lines.SelectMany(l => l.Attribute("points")!.Value.Split(' ')).Select(p => p.Split(',').Select(double.Parse).ToArray()))
        {
            Assert.IsTrue(point[0] is >= 64 and <= 704 && point[1] is >= 40 and <= 332, $"({point[0]}, {point[1]})");
        }
        string[] texts = [.. picture.Elements(svg + "text").Select(t => t.Value)];
        CollectionAssert.IsSubsetOf(new[] { "T & t", "x", "y", "a < b", "c" }, texts);
    }

    [TestMethod]
    public void A_chart_without_values_is_still_a_picture() => Assert.AreEqual("svg", XElement.Parse(LineChart.Draw("t", "x", "y", [new Curve("a", [])])).Name.LocalName);
}
