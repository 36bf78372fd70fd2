using Lift.Ort.Cli;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class FailureTests
{
    public static IEnumerable<object[]> Cases =>
    [
        [new LiftException("The model 'a' is broken."), 2],
        [new AggregateException(new LiftException("The model 'a' is broken.")), 2],
        [new FileNotFoundException("Could not find file '/x'."), 2],
        [new UnauthorizedAccessException("Access to the path '/x' is denied."), 2],
        [new IOException("No space left on device : '/x'", 28), 2],
        [new IOException("Read-only file system : '/x'", 30), 2],
        [new OutOfMemoryException(), 2],
        [new OperationCanceledException("Stopped; the state is saved in 'run'."), 130],
        [new InvalidOperationException("two\nlines"), 70],
    ];

    [TestMethod, DynamicData(nameof(Cases))]
    public void Exception_becomes_one_line_and_a_code(Exception exception, int code)
    {
        var error = new StringWriter();
        Assert.AreEqual(code, Failure.Report(exception, null, error));
        string text = error.ToString();
        Assert.AreEqual(1, text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length, text);
        if (code == 70) File.Delete(text.Trim().Split(' ')[^1]);
    }

    [TestMethod]
    public void Fault_of_ours_leaves_a_log_with_the_trace()
    {
        using TempFolder folder = TestFiles.Temp();
        var error = new StringWriter();
        try
        {
            throw new InvalidOperationException("broken inside");
        }
        catch (InvalidOperationException e)
        {
            Assert.AreEqual(70, Failure.Report(e, new FaultyCommand(folder.Path), error));
        }
        string log = Directory.GetFiles(folder.Path).Single();
        StringAssert.Contains(error.ToString(), log);
        StringAssert.Contains(File.ReadAllText(log), nameof(Fault_of_ours_leaves_a_log_with_the_trace));
    }

    private sealed class FaultyCommand : LiftCommand
    {
        public FaultyCommand(string folder) : base("faulty", "Fails.", "lift faulty") => LogFolder = folder;

        protected override void Run(System.CommandLine.ParseResult line, Output output, CancellationToken stop) => throw new InvalidOperationException();
    }
}
