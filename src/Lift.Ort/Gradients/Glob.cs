using System.Text.RegularExpressions;

namespace Lift.Ort.Gradients;

/// <summary>A pattern over names: <c>*</c> stands for any text, <c>?</c> for one character; everything else for itself.</summary>
public sealed class Glob(string pattern)
{
    private readonly Regex regex = new($"^{Regex.Escape(pattern).Replace(@"\*", ".*").Replace(@"\?", ".")}$", RegexOptions.CultureInvariant | RegexOptions.Singleline);

    public string Pattern { get; } = pattern;

    public bool Matches(string name) => regex.IsMatch(name);
}
