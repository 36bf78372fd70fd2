using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Lift.Ort.Cli.Commands;

namespace Lift.Ort.Cli;

/// <summary>The program <c>lift</c>: the table of its commands, and the way from arguments to an exit code.</summary>
internal static class LiftProgram
{
    /// <summary>All commands, in the order in which a newcomer meets them. A new command is one file in <c>Commands</c> and one line here.</summary>
    public static Command[] Commands() =>
    [
        new InspectCommand(),
        new PrepareCommand(),
        new GradientsCommand(),
        new SelectCommand(),
        new TrainCommand(),
        new ReportCommand(),
        new EvaluateCommand(),
        new GenerateCommand(),
        new ExportCommand(),
        new NewCommand(),
        new DoctorCommand(),
        new BenchCommand(),
    ];

    /// <summary>Runs one command line. JSON goes to <paramref name="output"/>, everything else to <paramref name="error"/>.</summary>
    /// <returns>0 good, 2 the user can mend it, 70 a fault of ours, 130 stopped by Ctrl-C with the state saved.</returns>
    public static int Run(string[] arguments, TextWriter output, TextWriter error)
    {
        ParseResult line = Root().Parse(arguments);
        if (line.Errors.Count > 0 && line.Action is not HelpWithExample) return Failure.Usage(line, error);
        try
        {
            if (line.CommandResult.Command is LiftCommand command && line.Action is not HelpWithExample)
                return command.Invoke(line, output, error);
            return line.Invoke(new InvocationConfiguration { Output = error, Error = error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
        }
        catch (Exception e)
        {
            return Failure.Report(e, line.CommandResult.Command as LiftCommand, error);
        }
    }

    /// <summary>The grammar of the whole command line.</summary>
    internal static RootCommand Root()
    {
        var root = new RootCommand("Fine-tunes exported ONNX models with LIFT in a stock ONNX Runtime, without Python.");
        foreach (Option<bool> shared in LiftCommand.Shared()) root.Add(shared);
        foreach (Command command in Commands()) root.Add(command);
        root.Options.OfType<HelpOption>().Single().Action = new HelpWithExample();
        return root;
    }

    /// <summary>System.CommandLine's help, followed by the command's example.</summary>
    private sealed class HelpWithExample : SynchronousCommandLineAction
    {
        private readonly HelpAction plain = new();

        /// <summary>Whoever asks for help has not given the required options yet.</summary>
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult line)
        {
            int code = plain.Invoke(line);
            if (line.CommandResult.Command is LiftCommand command)
                line.InvocationConfiguration.Output.WriteLine($"Example:\n  {command.Example}\n");
            return code;
        }
    }
}
