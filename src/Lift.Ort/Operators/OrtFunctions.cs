using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Operators;

/// <summary>
/// The functions of ONNX Runtime's C API that custom operators need and the managed API keeps to itself. Their places in the table come
/// from the managed <see cref="OrtApi"/> struct, by name.
/// </summary>
internal static unsafe partial class OrtFunctions
{
    /// <summary>The version of the C API that the table is asked for; the managed struct has at least this version's entries.</summary>
    public const uint ApiVersion = 23;

    private const int Fail = 1;

    private static readonly nint* table = Table();

    private static readonly delegate* unmanaged<int, byte*, nint> createStatus = (delegate* unmanaged<int, byte*, nint>)Function("CreateStatus");
    private static readonly delegate* unmanaged<nint, byte*> getErrorMessage = (delegate* unmanaged<nint, byte*>)Function("GetErrorMessage");
    private static readonly delegate* unmanaged<nint, void> releaseStatus = (delegate* unmanaged<nint, void>)Function("ReleaseStatus");

    [LibraryImport("onnxruntime")]
    private static partial nint* OrtGetApiBase();

    /// <summary>The address of the function that the managed struct calls <paramref name="name"/>.</summary>
    public static nint Function(string name) => table[Marshal.OffsetOf<OrtApi>(name) / nint.Size];

    /// <summary>A status of ONNX Runtime that carries <paramref name="message"/>; whoever receives it releases it.</summary>
    public static nint Status(string message)
    {
        fixed (byte* text = Encoding.UTF8.GetBytes(message + "\0")) return createStatus(Fail, text);
    }

    /// <summary>Throws what <paramref name="status"/> says, if it says anything, and releases it.</summary>
    /// <exception cref="InvalidOperationException">The call failed.</exception>
    public static void Ok(nint status)
    {
        if (status == 0) return;
        string? message = Marshal.PtrToStringUTF8((nint)getErrorMessage(status));
        releaseStatus(status);
        throw new InvalidOperationException($"ONNX Runtime: {message}");
    }

    /// <summary>True when the call succeeded; a failure's status is released unread.</summary>
    public static bool Succeeded(nint status)
    {
        if (status != 0) releaseStatus(status);
        return status == 0;
    }

    private static nint* Table()
    {
        _ = OrtEnv.Instance(); // loads the library the way the managed API does
        nint* api = ((delegate* unmanaged<uint, nint*>)OrtGetApiBase()[0])(ApiVersion);
        return api is not null ? api : throw new NotSupportedException($"This ONNX Runtime is older than version 1.{ApiVersion}.");
    }
}
