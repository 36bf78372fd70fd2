using System.CommandLine;
using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Cli;

/// <summary>Turns an exception into one sentence and an exit code.</summary>
internal static partial class Failure
{
    /// <summary>The user can mend it.</summary>
    public const int Mendable = 2;

    /// <summary>A fault of ours (EX_SOFTWARE).</summary>
    public const int Ours = 70;

    /// <summary>Ctrl-C, with the state saved (128 + SIGINT).</summary>
    public const int Stopped = 130;

    private const int DiskFull = 28, DiskFullWindows = unchecked((int)0x80070070), ReadOnlyFileSystem = 30;

    /// <summary>Reports mistakes in options: each in one sentence.</summary>
    public static int Usage(ParseResult line, TextWriter error)
    {
        string command = line.CommandResult.Command is LiftCommand c ? $"lift {c.Name}" : "lift";
        string mistakes = string.Join(" ", line.Errors.Select(e => Plain(e.Message.ReplaceLineEndings(" ").Trim())).Distinct());
        error.WriteLine($"lift: {mistakes} '{command} --help' lists what there is.");
        return Mendable;
    }

    /// <summary>The parser's sentence over a value of another type, without .NET's names of types.</summary>
    private static string Plain(string message) => WrongType().Match(message) is { Success: true } m
        ? $"{m.Groups["option"].Value} is '{m.Groups["value"].Value}'; give {(m.Groups["type"].Value switch { var t when t.Contains("Int") => "a whole number", var t when t.Contains("Bool") => "true or false", _ => "a number" })}."
        : message;

    [GeneratedRegex("^Cannot parse argument '(?<value>.*)' for option '(?<option>.*)' as expected type '(?<type>.*)'")]
    private static partial Regex WrongType();

    public static int Report(Exception e, LiftCommand? command, TextWriter error)
    {
        if (e is AggregateException { InnerExceptions.Count: 1 } one) return Report(one.InnerException!, command, error);
        if (e is OperationCanceledException)
        {
            error.WriteLine(e.Message);
            return Stopped;
        }
        if (Sentence(e) is { } sentence)
        {
            error.WriteLine($"lift: {Readable(sentence)}");
            return Mendable;
        }
        if (command?.ModelFile is { } file && Refusal(file) is { } why)
        {
            error.WriteLine($"lift: '{file}' is no sound model, ONNX Runtime refuses it too: {Readable(why)} Export it again.");
            return Mendable;
        }
        string log = Log(e, command?.LogFolder ?? Path.GetTempPath());
        error.WriteLine($"lift: this is a fault of ours ({e.GetType().Name}: {e.Message.ReplaceLineEndings(" ")}); please report it with {log}");
        return Ours;
    }

    /// <summary>What ONNX Runtime says against a file; null where it opens it.</summary>
    private static string? Refusal(string file)
    {
        try
        {
            using var options = new SessionOptions { GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
            using var session = new InferenceSession(file, options);
            return null;
        }
        catch (OnnxRuntimeException e)
        {
            return $"{Trim(e.Message.Split('\n')[0])}.";
        }
    }

    /// <summary>The sentence for what the user can mend, null for faults of ours.</summary>
    private static string? Sentence(Exception e) => e switch
    {
        LiftException => e.Message,
        OutOfMemoryException => "There is not enough memory: use a smaller batch, shorter sequences or a smaller model.",
        UnauthorizedAccessException => $"{e.Message} Choose a place that this user may use.",
        FileNotFoundException or DirectoryNotFoundException or PathTooLongException or DriveNotFoundException => $"{e.Message} Check the path.",
        IOException when (e.HResult & 0xFFFF) == DiskFull || e.HResult == DiskFullWindows => $"The disk is full ({Trim(e.Message)}): free some space or write elsewhere.",
        IOException when (e.HResult & 0xFFFF) == ReadOnlyFileSystem => $"{Trim(e.Message)}: choose a place that can be written.",
        IOException => $"{Trim(e.Message)}: check the path, the disk and the rights.",
        _ => null,
    };

    /// <summary>A file's own names come into sentences: control characters become spaces, and words longer than any name are cut.</summary>
    private static string Readable(string sentence)
    {
        const int longest = 300;
        var words = new string([.. sentence.ReplaceLineEndings(" ").Select(c => char.IsControl(c) ? ' ' : c)]).Split(' ')
            .Select(w => w.Length <= longest ? w : $"{w[..(longest / 2)]}…{w[^(longest / 2)..]}");
        return string.Join(' ', words);
    }

    private static string Trim(string message) => message.TrimEnd('.', ' ');

    private static string Log(Exception e, string folder)
    {
        try
        {
            string path = Path.Combine(folder, $"lift-fault-{DateTime.UtcNow:yyyyMMdd-HHmmss}-{Environment.ProcessId}.log");
            File.WriteAllText(path, $"{Environment.CommandLine}\n{e}\n");
            return path;
        }
        catch (Exception second) when (second is IOException or UnauthorizedAccessException)
        {
            return $"its trace: {e.StackTrace?.Trim().ReplaceLineEndings(" | ")}";
        }
    }
}
