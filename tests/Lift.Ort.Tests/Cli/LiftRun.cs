using System.Diagnostics;
using System.Text.Json.Nodes;
using Lift.Ort.Cli;

namespace Lift.Ort.Tests.Cli;

/// <summary>What one run of <c>lift</c> gave back.</summary>
internal sealed record LiftRun(int Code, string Output, string Error)
{
    /// <summary>Standard output's last line as JSON.</summary>
    public JsonObject Json => (JsonObject)JsonNode.Parse(Output.TrimEnd().Split('\n')[^1])!;

    /// <summary>Runs the commands in this process: fast, and counted by coverage.</summary>
    public static LiftRun Here(params string[] arguments)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        int code = LiftProgram.Run(arguments, output, error);
        return new LiftRun(code, output.ToString(), error.ToString());
    }

    /// <summary>Runs the program itself as a process.</summary>
    public static LiftRun Program(params string[] arguments) => Program([], arguments);

    /// <summary>The same with environment variables of its own.</summary>
    public static LiftRun Program(Dictionary<string, string> environment, string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "lift.exe" : "lift"), arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new LiftRun(process.ExitCode, output, error.Result);
    }

    /// <summary>Asserts success and returns this run; the message is the run's standard error.</summary>
    public LiftRun Good()
    {
        Assert.AreEqual(0, Code, Error);
        return this;
    }

    /// <summary>Asserts exit code 2 and exactly one sentence without a stack trace on standard error, and returns that sentence.</summary>
    public string Refused()
    {
        Assert.AreEqual(2, Code, Error);
        string sentence = Error.Trim();
        Assert.IsFalse(sentence.Contains('\n') || sentence.Contains("   at "), $"one sentence expected: {sentence}");
        StringAssert.StartsWith(sentence, "lift: ");
        return sentence;
    }
}
