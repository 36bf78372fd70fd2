namespace Lift.Ort;

/// <summary>
/// Reports something that the user can mend: a bad file, option, row or weight. The message is one sentence that says what failed,
/// where (file, node, weight or row), with which values, and what to do next; the command prints it and ends with exit code 2.
/// </summary>
public class LiftException : Exception
{
    public LiftException(string message) : base(message) { }

    public LiftException(string message, Exception inner) : base(message, inner) { }
}
