using System.CommandLine;
using Lift.Ort.Sparse;

namespace Lift.Ort.Cli;

/// <summary>The options that say which entries of the weights are trained.</summary>
internal sealed class SelectionChoices
{
    private readonly Option<string> selection;
    private readonly Option<int?> rank = new("--rank") { Description = "Budget per weight of m x n: R (m + n) entries, as many as a rank-R LoRA has; 0: all.", HelpName = "R" };
    private readonly Option<double?> density = new("--density") { Description = "Budget per weight as a share of its entries; default 0.05 where no --rank is given.", HelpName = "D" };
    private readonly Option<int> filterRank = Choices.Count("--filter-rank", "Rank r of the approximation whose largest entries are taken.", 128);
    private readonly Option<bool> exact = new("--exact") { Description = "Decompose exactly instead of iterating to a computed error bound: many times slower." };

    /// <param name="seed">The command's own seed option.</param>
    /// <param name="usual">The selection where none is named.</param>
    public SelectionChoices(Command command, Option<int> seed, string usual = "lift")
    {
        Seed = seed;
        selection = Choices.OneOf("--selection", "How entries are chosen.", usual, [.. MaskSelector.Names]);
        foreach (Option option in new Option[] { selection, rank, density, filterRank, exact }) command.Add(option);
        command.Validators.Add(line =>
        {
            if (line.GetValue(rank) is not null && line.GetValue(density) is not null) line.AddError("--rank and --density both set the budget; give one of them.");
        });
    }

    private Option<int> Seed { get; }

    /// <summary>The fields of a measurement that say what was selected.</summary>
    public static object Fields(SelectionOptions options) => new { rank = options.Budget.Rank, density = options.Budget.Fraction, filter_rank = options.FilterRank, mask = options.Selection };

    /// <exception cref="LiftException">A number is out of range.</exception>
    public SelectionOptions Read(ParseResult line) => new SelectionOptions
    {
        Selection = line.GetValue(selection)!,
        Budget = line.GetValue(rank) is { } r ? Budget.RankMatched(r) : Budget.Density(line.GetValue(density) ?? 0.05),
        FilterRank = line.GetValue(filterRank),
        Seed = line.GetValue(Seed),
        LowRank = new() { Exact = line.GetValue(exact) },
    }.Check();
}
