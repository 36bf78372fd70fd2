using System.Text;
using static Lift.Ort.Operators.OrtFunctions;

namespace Lift.Ort.Operators;

/// <summary>What a node says about itself, read while ONNX Runtime makes its kernel; an attribute that is not there gives the default.</summary>
internal readonly unsafe struct NodeAttributes(nint info)
{
    private static readonly delegate* unmanaged<nint, byte*, long*, nint> getInt = (delegate* unmanaged<nint, byte*, long*, nint>)Function("KernelInfoGetAttribute_int64");
    private static readonly delegate* unmanaged<nint, byte*, float*, nint> getFloat = (delegate* unmanaged<nint, byte*, float*, nint>)Function("KernelInfoGetAttribute_float");
    private static readonly delegate* unmanaged<nint, byte*, byte*, nuint*, nint> getString = (delegate* unmanaged<nint, byte*, byte*, nuint*, nint>)Function("KernelInfoGetAttribute_string");
    private static readonly delegate* unmanaged<nint, byte*, long*, nuint*, nint> getInts = (delegate* unmanaged<nint, byte*, long*, nuint*, nint>)Function("KernelInfoGetAttributeArray_int64");
    private static readonly delegate* unmanaged<nint, byte*, nuint*, nint> getName = (delegate* unmanaged<nint, byte*, nuint*, nint>)Function("KernelInfo_GetNodeName");

    private static readonly delegate* unmanaged<nint, nuint, nint*, nint> getOutputType = (delegate* unmanaged<nint, nuint, nint*, nint>)Function("KernelInfo_GetOutputTypeInfo");
    private static readonly delegate* unmanaged<nint, nint*, nint> asTensor = (delegate* unmanaged<nint, nint*, nint>)Function("CastTypeInfoToTensorInfo");
    private static readonly delegate* unmanaged<nint, nuint*, nint> getRank = (delegate* unmanaged<nint, nuint*, nint>)Function("GetDimensionsCount");
    private static readonly delegate* unmanaged<nint, long*, nuint, nint> getDims = (delegate* unmanaged<nint, long*, nuint, nint>)Function("GetDimensions");
    private static readonly delegate* unmanaged<nint, void> releaseType = (delegate* unmanaged<nint, void>)Function("ReleaseTypeInfo");

    /// <summary>ONNX Runtime's OrtKernelInfo; valid while the kernel is made.</summary>
    public nint Info => info;

    /// <summary>The node's name; may be empty.</summary>
    public string NodeName
    {
        get
        {
            nuint size = 0;
            Succeeded(getName(info, null, &size));
            byte[] text = new byte[Math.Max(1, (int)size)];
            fixed (byte* t = text) return Succeeded(getName(info, t, &size)) ? Encoding.UTF8.GetString(text).TrimEnd('\0') : "";
        }
    }

    public long Int(string name, long otherwise)
    {
        long value;
        fixed (byte* key = Key(name)) return Succeeded(getInt(info, key, &value)) ? value : otherwise;
    }

    public float Float(string name, float otherwise)
    {
        float value;
        fixed (byte* key = Key(name)) return Succeeded(getFloat(info, key, &value)) ? value : otherwise;
    }

    public string String(string name, string otherwise)
    {
        nuint size = 0;
        fixed (byte* key = Key(name))
        {
            Succeeded(getString(info, key, null, &size));
            if (size == 0) return otherwise;
            byte[] text = new byte[(int)size];
            fixed (byte* t = text) return Succeeded(getString(info, key, t, &size)) ? Encoding.UTF8.GetString(text).TrimEnd('\0') : otherwise;
        }
    }

    public long[]? Ints(string name)
    {
        nuint size = 0;
        fixed (byte* key = Key(name))
        {
            if (!Succeeded(getInts(info, key, null, &size)) && size == 0) return null;
            long[] values = new long[(int)size];
            fixed (long* v = values) return Succeeded(getInts(info, key, v, &size)) ? values : null;
        }
    }

    /// <summary>The dimensions that the model declares for an output, −1 for those that are no numbers; null where it declares no rank.</summary>
    public long[]? OutputDims(int index)
    {
        nint type, tensor;
        if (!Succeeded(getOutputType(info, (nuint)index, &type)) || type == 0) return null;
        try
        {
            nuint rank;
            if (!Succeeded(asTensor(type, &tensor)) || tensor == 0 || !Succeeded(getRank(tensor, &rank)) || rank == 0) return null;
            long[] dims = new long[rank];
            fixed (long* d = dims) return Succeeded(getDims(tensor, d, rank)) ? dims : null;
        }
        finally
        {
            releaseType(type);
        }
    }

    private static byte[] Key(string name) => Encoding.UTF8.GetBytes(name + "\0");
}
