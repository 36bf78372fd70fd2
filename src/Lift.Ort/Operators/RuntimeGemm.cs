using System.Text;
using Lift.Ort.Onnx;
using static Lift.Ort.Operators.OrtFunctions;

namespace Lift.Ort.Operators;

/// <summary>
/// ONNX Runtime's own Gemm, called from inside a kernel of ours: c = a′·b′ or c += a′·b′ (′: transposed where it says so), row-major, on the session's threads. Its speed is that of the
/// model's products, which <see cref="Gemm"/> does not reach; a call costs some microseconds.
/// </summary>
internal sealed unsafe class RuntimeGemm : IDisposable
{
    private static readonly delegate* unmanaged<byte*, void*, int, int, nint*, nint> createAttribute = (delegate* unmanaged<byte*, void*, int, int, nint*, nint>)Function("CreateOpAttr");
    private static readonly delegate* unmanaged<nint, void> releaseAttribute = (delegate* unmanaged<nint, void>)Function("ReleaseOpAttr");
    private static readonly delegate* unmanaged<nint, byte*, byte*, int, byte**, int*, int, nint*, int, int, int, nint*, nint> create =
        (delegate* unmanaged<nint, byte*, byte*, int, byte**, int*, int, nint*, int, int, int, nint*, nint>)Function("CreateOp");
    private static readonly delegate* unmanaged<nint, nint, nint*, int, nint*, int, nint> invoke = (delegate* unmanaged<nint, nint, nint*, int, nint*, int, nint>)Function("InvokeOp");
    private static readonly delegate* unmanaged<nint, void> release = (delegate* unmanaged<nint, void>)Function("ReleaseOp");
    private static readonly delegate* unmanaged<nint, void*, nuint, long*, nuint, int, nint*, nint> createTensor =
        (delegate* unmanaged<nint, void*, nuint, long*, nuint, int, nint*, nint>)Function("CreateTensorWithDataAsOrtValue");
    private static readonly delegate* unmanaged<nint, void> releaseValue = (delegate* unmanaged<nint, void>)Function("ReleaseValue");

    private const int Opset = 13, IntAttribute = 1, FloatAttribute = 3; // ORT_OP_ATTR_INT, ORT_OP_ATTR_FLOAT

    private readonly ElementType type;
    private readonly bool transA, transB;
    private nint plain, adding; // the same product without and with c among its inputs

    /// <param name="node">The node whose kernel is being made.</param>
    /// <param name="type">Float or Double.</param>
    public RuntimeGemm(NodeAttributes node, ElementType type, bool transA, bool transB)
    {
        (this.type, this.transA, this.transB) = (type, transA, transB);
        plain = Create(node.Info, 2);
        adding = Create(node.Info, 3);
    }

    /// <summary>c [m, n] = a′ [m, k] · b′ [k, n], or c += a′·b′; each matrix lies without gaps.</summary>
    public void Multiply(CpuContext context, long m, long n, long k, void* a, void* b, void* c, bool add = false)
    {
        if (m == 0 || n == 0) return;
        nint* inputs = stackalloc nint[3] { 0, 0, 0 };
        nint output = 0;
        try
        {
            inputs[0] = transA ? Matrix(a, k, m) : Matrix(a, m, k);
            inputs[1] = transB ? Matrix(b, n, k) : Matrix(b, k, n);
            output = inputs[2] = Matrix(c, m, n);
            Ok(invoke(context.Handle, add ? adding : plain, inputs, add ? 3 : 2, &output, 1));
        }
        finally
        {
            for (int i = 0; i < 3; i++) if (inputs[i] != 0) releaseValue(inputs[i]);
        }
    }

    public void Dispose()
    {
        if (plain != 0) release(plain);
        if (adding != 0) release(adding);
        plain = adding = 0;
    }

    private nint Matrix(void* data, long rows, long columns)
    {
        nint value;
        long* dims = stackalloc long[2] { rows, columns };
        Ok(createTensor(CpuContext.HostMemory, data, checked((nuint)(rows * columns * type.Bits() / 8)), dims, 2, (int)type, &value));
        return value;
    }

    private nint Create(nint info, int inputs)
    {
        const int Count = 4;
        nint* attributes = stackalloc nint[Count] { 0, 0, 0, 0 };
        nint made;
        int constraint = (int)type;
        try
        {
            attributes[0] = Attribute("transA", transA);
            attributes[1] = Attribute("transB", transB);
            attributes[2] = Attribute("alpha", 1f); // a node made this way has no defaults
            attributes[3] = Attribute("beta", 1f);
            fixed (byte* name = Text("Gemm"), domain = Text(""), variable = Text("T"))
            {
                byte* variables = variable;
                Ok(create(info, name, domain, Opset, &variables, &constraint, 1, attributes, Count, inputs, 1, &made));
            }
        }
        finally
        {
            for (int i = 0; i < Count; i++) if (attributes[i] != 0) releaseAttribute(attributes[i]);
        }
        return made;
    }

    private static nint Attribute(string name, bool value)
    {
        long number = value ? 1 : 0;
        return Attribute(name, &number, IntAttribute);
    }

    private static nint Attribute(string name, float value) => Attribute(name, &value, FloatAttribute);

    private static nint Attribute(string name, void* value, int kind)
    {
        nint made;
        fixed (byte* n = Text(name)) Ok(createAttribute(n, value, 1, kind, &made));
        return made;
    }

    private static byte[] Text(string text) => Encoding.UTF8.GetBytes(text + "\0");
}
