using System.Globalization;
using System.Net;
using System.Text;

namespace Lift.Ort.Training;

/// <summary>A named line of a chart.</summary>
public sealed record Curve(string Name, IReadOnlyList<(double X, double Y)> Points);

/// <summary>Draws curves as SVG: raw values pale, their moving average on top, round numbers on the axes, a legend.</summary>
internal static class LineChart
{
    private const int Width = 720, Height = 380, Left = 64, Right = 16, Top = 40, Bottom = 48;

    private static readonly string[] colours = ["#1f6feb", "#d1242f", "#1a7f37", "#bf8700", "#8250df", "#57606a"];

    /// <summary>The chart as an SVG element; values that are not finite are left out.</summary>
    public static string Draw(string title, string xLabel, string yLabel, IReadOnlyList<Curve> curves)
    {
        Curve[] drawn = [.. curves.Select(c => c with { Points = [.. c.Points.Where(p => double.IsFinite(p.X) && double.IsFinite(p.Y))] })];
        double[] xTicks = Ticks(drawn.SelectMany(c => c.Points).Select(p => p.X)), yTicks = Ticks(drawn.SelectMany(c => c.Points).Select(p => p.Y));
        double X(double x) => Left + (x - xTicks[0]) / (xTicks[^1] - xTicks[0]) * (Width - Left - Right);
        double Y(double y) => Height - Bottom - (y - yTicks[0]) / (yTicks[^1] - yTicks[0]) * (Height - Top - Bottom);

        var svg = new StringBuilder();
        Line($"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {Height}\" font-family=\"sans-serif\" font-size=\"12\">");
        Line($"<rect width=\"{Width}\" height=\"{Height}\" fill=\"white\"/>");
        Text(Width / 2, 22, title, "middle", 15);
        Text(Width / 2, Height - 10, xLabel, "middle");
        Text(Left, Top - 8, yLabel, "end");
        foreach (double y in yTicks)
        {
            Line($"<line x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(y):F1}\" y2=\"{Y(y):F1}\" stroke=\"#d0d7de\"/>");
            Text(Left - 6, Y(y) + 4, Number(y), "end");
        }
        foreach (double x in xTicks) Text(X(x), Height - Bottom + 18, Number(x), "middle");

        for (int i = 0; i < drawn.Length; i++)
        {
            string colour = colours[i % colours.Length];
            var points = drawn[i].Points;
            if (points.Count > 50) Path(points, colour, 1, 0.25);
            Path(points.Count > 50 ? Average(points, points.Count / 25) : points, colour, 2, 1);
            Line($"<rect x=\"{Width - Right - 190}\" y=\"{Top + 8 + 18 * i}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>");
            Text(Width - Right - 170, Top + 14 + 18 * i, drawn[i].Name, "start");
        }
        Line($"</svg>");
        return svg.ToString();

        void Line(FormattableString text) => svg.AppendLine(text.ToString(CultureInfo.InvariantCulture));
        void Text(double x, double y, string text, string anchor, int size = 12) =>
            Line($"<text x=\"{x:F1}\" y=\"{y:F1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{WebUtility.HtmlEncode(text)}</text>");
        void Path(IReadOnlyList<(double X, double Y)> points, string colour, int width, double opacity)
        {
            string coordinates = string.Join(' ', points.Select(p => string.Create(CultureInfo.InvariantCulture, $"{X(p.X):F1},{Y(p.Y):F1}")));
            Line($"<polyline points=\"{coordinates}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-opacity=\"{opacity}\"/>");
        }
    }

    /// <summary>Round numbers at equal distances (1, 2 or 5 times a power of ten) that enclose all values, from 4 to 11 of them.</summary>
    internal static double[] Ticks(IEnumerable<double> values)
    {
        double[] all = [.. values];
        (double low, double high) = all.Length == 0 ? (0, 1) : (all.Min(), all.Max());
        if (high - low < 1e-9 * Math.Max(1, Math.Abs(high))) (low, high) = (low - 0.5, high + 0.5);
        double power = Math.Pow(10, Math.Floor(Math.Log10((high - low) / 4)));
        double step = new[] { 5, 2, 1 }.Select(f => f * power).First(s => (high - low) / s >= 4 || s == power);
        long first = (long)Math.Floor(low / step), last = (long)Math.Ceiling(high / step);
        return [.. Enumerable.Range(0, (int)(last - first + 1)).Select(i => (first + i) * step)];
    }

    private static string Number(double value) => value.ToString("0.######", CultureInfo.InvariantCulture);

    private static List<(double, double)> Average(IReadOnlyList<(double X, double Y)> points, int window)
    {
        var result = new List<(double, double)>(points.Count);
        double sum = 0;
        for (int i = 0; i < points.Count; i++)
        {
            sum += points[i].Y;
            if (i >= window) sum -= points[i - window].Y;
            result.Add((points[i].X, sum / Math.Min(i + 1, window)));
        }
        return result;
    }
}
