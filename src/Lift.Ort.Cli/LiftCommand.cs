using System.CommandLine;
using System.Runtime.InteropServices;

namespace Lift.Ort.Cli;

/// <summary>
/// One command of <c>lift</c>. A command declares its arguments as fields, adds them in its constructor, and does its work in <see cref="Run"/>:
/// it reads values with <c>line.GetValue(field)</c>, reports through <see cref="Output"/> and throws <see cref="LiftException"/> for what the user can mend.
/// </summary>
internal abstract class LiftCommand : Command
{
    /// <summary>The options of every command; a new pair for each command line, since an option remembers every tree that it was ever part of.</summary>
    public static Option<bool>[] Shared() =>
    [
        new("--json") { Description = "Write the result as one line of JSON to standard output, for scripts.", Recursive = true },
        new("--quiet") { Description = "Write nothing to standard error but mistakes.", Recursive = true },
    ];

    /// <param name="name">The word after <c>lift</c>.</param>
    /// <param name="description">What it does, in words that a newcomer knows.</param>
    /// <param name="example">One whole command line; the end of <c>--help</c>.</param>
    protected LiftCommand(string name, string description, string example) : base(name, description)
    {
        Example = example;
        SetAction(_ => 0); // Invoke below is the real way in; an action makes System.CommandLine accept the command without a subcommand
    }

    public string Example { get; }

    /// <summary>The folder in which the log of a fault of ours is left; null (the default) is the system's temporary folder.</summary>
    public string? LogFolder { get; protected set; }

    /// <summary>The ONNX file that the command works on: where ONNX Runtime refuses it too, a failure over it is the file's fault and none of ours.</summary>
    public string? ModelFile { get; protected set; }

    /// <summary>True for a command that watches its token and saves its state when Ctrl-C comes; any other command ends at once.</summary>
    protected virtual bool SavesWhenStopped => false;

    /// <summary>Does the work. A mistake of the user's is a <see cref="LiftException"/>; a stop with the state saved is an <see cref="OperationCanceledException"/>.</summary>
    protected abstract void Run(ParseResult line, Output output, CancellationToken stop);

    internal int Invoke(ParseResult line, TextWriter output, TextWriter error)
    {
        using var stop = new CancellationTokenSource();
        void OnSignal(PosixSignalContext signal)
        {
            signal.Cancel = SavesWhenStopped && !stop.IsCancellationRequested; // the second Ctrl-C ends at once
            if (signal.Cancel) stop.Cancel();
            else Environment.Exit(Failure.Stopped);
        }
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        Run(line, new Output(output, error, line.GetValue<bool>("--json"), line.GetValue<bool>("--quiet")), stop.Token);
        return 0;
    }
}
