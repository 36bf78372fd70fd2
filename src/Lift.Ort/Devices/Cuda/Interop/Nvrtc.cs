using System.Runtime.InteropServices;

namespace Lift.Ort.Devices.Cuda.Interop;

/// <summary>NVIDIA's run-time compiler (libnvrtc).</summary>
internal static unsafe partial class Nvrtc
{
    private const string Library = CudaLibraries.RunTimeCompiler;

    public static string Meaning(NvrtcResult result) => (int)result switch
    {
        1 => "out of memory",
        2 => "program creation failed",
        3 => "invalid input",
        4 => "invalid program",
        5 => "invalid option",
        6 => "compilation error",
        7 => "builtin operation failed",
        11 => "internal error",
        _ => "unknown",
    };

    [LibraryImport(Library, EntryPoint = "nvrtcVersion")]
    internal static partial NvrtcResult Version(out int major, out int minor);

    [LibraryImport(Library, EntryPoint = "nvrtcCreateProgram", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial NvrtcResult CreateProgram(out NvrtcProgramHandle program, string source, string name, int headerCount, string[] headers, string[] includeNames);

    [LibraryImport(Library, EntryPoint = "nvrtcCompileProgram", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial NvrtcResult CompileProgram(NvrtcProgramHandle program, int optionCount, string[] options);

    [LibraryImport(Library, EntryPoint = "nvrtcGetProgramLogSize")]
    internal static partial NvrtcResult GetProgramLogSize(NvrtcProgramHandle program, out nuint size);

    [LibraryImport(Library, EntryPoint = "nvrtcGetProgramLog")]
    internal static partial NvrtcResult GetProgramLog(NvrtcProgramHandle program, byte* log);

    [LibraryImport(Library, EntryPoint = "nvrtcGetCUBINSize")]
    internal static partial NvrtcResult GetCubinSize(NvrtcProgramHandle program, out nuint size);

    [LibraryImport(Library, EntryPoint = "nvrtcGetCUBIN")]
    internal static partial NvrtcResult GetCubin(NvrtcProgramHandle program, byte* cubin);

    [LibraryImport(Library, EntryPoint = "nvrtcDestroyProgram")]
    internal static partial NvrtcResult DestroyProgram(ref nint program);
}
