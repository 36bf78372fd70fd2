using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Lift.Ort.Data;

/// <summary>ONNX Runtime Extensions' tokenizers, C interface (ortx_tokenizer.h, ortx_utils.h), which ONNX Runtime GenAI's library exports.</summary>
internal static unsafe partial class Ortx
{
    private const string Library = "onnxruntime-genai";

    [LibraryImport(Library, EntryPoint = "OrtxCreateTokenizer", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int CreateTokenizer(out OrtxHandle tokenizer, string folder);

    [LibraryImport(Library, EntryPoint = "OrtxUpdateTokenizerOptions")]
    public static partial int UpdateTokenizerOptions(OrtxHandle tokenizer, byte** keys, byte** values, nuint count);

    [LibraryImport(Library, EntryPoint = "OrtxTokenize")]
    public static partial int Tokenize(OrtxHandle tokenizer, byte** texts, nuint count, out OrtxHandle ids);

    [LibraryImport(Library, EntryPoint = "OrtxTokenId2DArrayGetItem")]
    public static partial int TokenIdsGetItem(OrtxHandle ids, nuint index, out uint* item, out nuint length);

    [LibraryImport(Library, EntryPoint = "OrtxDetokenize1D")]
    public static partial int Detokenize(OrtxHandle tokenizer, uint* ids, nuint count, out OrtxHandle texts);

    [LibraryImport(Library, EntryPoint = "OrtxStringArrayGetItem")]
    public static partial int StringsGetItem(OrtxHandle texts, nuint index, out byte* text);

    [LibraryImport(Library, EntryPoint = "OrtxApplyChatTemplate")]
    public static partial int ApplyChatTemplate(OrtxHandle tokenizer, byte* template, byte* messages, byte* tools, out OrtxHandle result,
        [MarshalAs(UnmanagedType.U1)] bool generationPrompt, [MarshalAs(UnmanagedType.U1)] bool tokenize);

    [LibraryImport(Library, EntryPoint = "OrtxTensorResultGetAt")]
    public static partial int TensorResultGetAt(OrtxHandle result, nuint index, out OrtxHandle tensor);

    [LibraryImport(Library, EntryPoint = "OrtxGetTensorData")]
    public static partial int GetTensorData(OrtxHandle tensor, out void* data, out long* dims, out nuint rank);

    [LibraryImport(Library, EntryPoint = "OrtxGetLastErrorMessage")]
    public static partial byte* GetLastErrorMessage();

    [LibraryImport(Library, EntryPoint = "OrtxDisposeOnly")]
    public static partial int DisposeOnly(nint value);

    /// <summary>Throws with the library's own words when a call failed.</summary>
    /// <exception cref="OrtxException">The result is not 0.</exception>
    public static void ThrowIfFailed(this int result, [CallerArgumentExpression(nameof(result))] string? call = null)
    {
        if (result != 0) throw new OrtxException(Marshal.PtrToStringUTF8((nint)GetLastErrorMessage()) ?? $"error {result}", call);
    }
}

/// <summary>Says which call of the tokenizer library failed, and why.</summary>
internal sealed class OrtxException(string reason, string? call) : Exception($"{call}: {reason}")
{
    public string Reason => reason;
}

/// <summary>An object of the tokenizer library.</summary>
internal sealed class OrtxHandle() : SafeHandle(0, true)
{
    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle() => Ortx.DisposeOnly(handle) == 0;
}
