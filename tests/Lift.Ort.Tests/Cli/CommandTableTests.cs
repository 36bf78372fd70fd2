using System.CommandLine;
using Lift.Ort.Cli;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class CommandTableTests
{
    public static IEnumerable<object[]> Commands => Leaves(LiftProgram.Commands(), []).Select(c => new object[] { c.Path });

    [TestMethod, DynamicData(nameof(Commands))]
    public void Command_explains_itself(string path)
    {
        LiftCommand command = Leaves(LiftProgram.Commands(), []).Single(c => c.Path == path).Command;
        LiftRun run = LiftRun.Here([.. path.Split(' '), "--help"]).Good();

        StringAssert.StartsWith(command.Example, $"lift {path}");
        StringAssert.Contains(run.Error, command.Example);
        StringAssert.Contains(run.Error, "--json");
        foreach (Symbol symbol in command.Options.Concat<Symbol>(command.Arguments))
            Assert.IsTrue(symbol.Description is { Length: > 8 }, $"lift {path}: {symbol.Name} is not described");
        Assert.AreEqual("", run.Output, "help is for people: standard error");
    }

    /// <summary>The example must be a command line that the program itself accepts (as far as its words go; no file is opened).</summary>
    [TestMethod, DynamicData(nameof(Commands))]
    public void Example_parses(string path)
    {
        LiftCommand command = Leaves(LiftProgram.Commands(), []).Single(c => c.Path == path).Command;
        ParseResult line = LiftProgram.Root().Parse(command.Example["lift ".Length..]);
        Assert.AreEqual("", string.Join(" ", line.Errors.Select(e => e.Message)));
        Assert.AreEqual(command.Name, line.CommandResult.Command.Name);
    }

    [TestMethod, DynamicData(nameof(Commands))]
    public void Command_has_a_test(string path)
    {
        string name = string.Concat(path.Split(' ').Select(w => char.ToUpperInvariant(w[0]) + w[1..])) + "CommandTests";
        Assert.IsTrue(typeof(CommandTableTests).Assembly.GetTypes().Any(t => t.Name == name), $"no test class {name}");
    }

    [TestMethod]
    [DataRow("frobnicate", DisplayName = "unknown command")]
    [DataRow("", DisplayName = "no command")]
    [DataRow("bench copy --gib none", DisplayName = "wrong value")]
    [DataRow("bench copy --frobnicate", DisplayName = "unknown option")]
    [DataRow("bench copy --repeats 0", DisplayName = "value out of range")]
    [DataRow("bench copy --gib 0", DisplayName = "value that the command refuses")]
    [DataRow("bench", DisplayName = "no measurement")]
    public void Mistake_in_options_is_exit_code_2(string line) => LiftRun.Here(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Refused();

    [TestMethod]
    [DataRow("new --seed 99999999999 -o m", "--seed is '99999999999'; give a whole number.")]
    [DataRow("select m --density much -o s", "--density is 'much'; give a number.")]
    [DataRow("new --arch bert -o m", "--arch is 'bert'; give one of: llama.")]
    [DataRow("evaluate m --data d --metric bleu", "--metric is 'bleu'; give one of: loss, exact-match.")]
    public void Wrong_values_are_told_with_what_fits(string line, string said) => StringAssert.Contains(LiftRun.Here(line.Split(' ')).Refused(), said);

    private static IEnumerable<(string Path, LiftCommand Command)> Leaves(IEnumerable<Command> commands, string[] above) => commands.SelectMany(c =>
        c is LiftCommand leaf ? [(string.Join(' ', [.. above, c.Name]), leaf)] : Leaves(c.Subcommands, [.. above, c.Name]));
}
