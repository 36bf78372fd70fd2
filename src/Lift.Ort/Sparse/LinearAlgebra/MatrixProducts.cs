using Google.Protobuf;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Lift.Ort.Sparse.LinearAlgebra;

/// <summary>A row-major matrix in memory of someone else.</summary>
internal readonly record struct Matrix(nint Data, int Rows, int Columns);

/// <summary>
/// Dense products on the CPU through ONNX Runtime's Gemm: one session per form, with dynamic shapes, made on first use from a model of
/// one or three nodes; operands are bound where they lie. Not for use by several threads at once.
/// </summary>
internal sealed class MatrixProducts(CpuDevice device) : IDisposable
{
    private readonly record struct Form(bool TransposeA, bool TransposeB, bool Subtract, bool Widen, bool Double);

    private readonly Dictionary<Form, GemmSession> sessions = [];

    /// <summary>c = op(a)·op(b), float32</summary>
    public void Multiply(Matrix a, Matrix b, Matrix c, bool transposeA = false, bool transposeB = false) => Session(new(transposeA, transposeB, false, false, false)).Run(a, b, null, c);

    /// <summary>c = a·b − d, float32</summary>
    public void MultiplySubtract(Matrix a, Matrix b, Matrix d, Matrix c) => Session(new(false, false, true, false, false)).Run(a, b, d, c);

    /// <summary>c = op(a)·op(b), operands float32, product and result float64</summary>
    public void MultiplyWide(Matrix a, Matrix b, Matrix c, bool transposeA = false, bool transposeB = false) => Session(new(transposeA, transposeB, false, true, true)).Run(a, b, null, c);

    public void Dispose()
    {
        foreach (GemmSession session in sessions.Values) session.Dispose();
    }

    private GemmSession Session(Form form) => sessions.TryGetValue(form, out var session) ? session : sessions[form] = new GemmSession(device, form);

    private sealed class GemmSession : IDisposable
    {
        private readonly InferenceSession session;
        private readonly OrtIoBinding binding;
        private readonly RunOptions options = new();
        private readonly OrtMemoryInfo memory;
        private readonly Form form;

        public GemmSession(CpuDevice device, Form form)
        {
            (this.form, memory) = (form, device.MemoryInfo);
            using var settings = new SessionOptions();
            device.AddTo(settings);
            session = new InferenceSession(Model(form), settings);
            binding = session.CreateIoBinding();
        }

        public void Run(Matrix a, Matrix b, Matrix? d, Matrix c)
        {
            TensorElementType input = TensorElementType.Float, output = form.Double ? TensorElementType.Double : input;
            using OrtValue left = Value(a, input), right = Value(b, input), result = Value(c, output);
            using OrtValue? term = d is { } given ? Value(given, input) : null;
            binding.BindInput("a", left);
            binding.BindInput("b", right);
            if (term is not null) binding.BindInput("d", term);
            binding.BindOutput("c", result);
            session.RunWithBinding(options, binding);
            binding.ClearBoundInputs();
            binding.ClearBoundOutputs();
        }

        public void Dispose()
        {
            binding.Dispose();
            session.Dispose();
            options.Dispose();
        }

        private OrtValue Value(Matrix m, TensorElementType type) => OrtValue.CreateTensorValueWithData(
            memory, type, [m.Rows, m.Columns], m.Data, (long)m.Rows * m.Columns * (type == TensorElementType.Double ? sizeof(double) : sizeof(float)));

        private static byte[] Model(Form form)
        {
            var graph = new GraphProto { Name = "gemm" };
            var gemm = new NodeProto { OpType = "Gemm", Output = { "c" } };
            foreach (string name in form.Subtract ? new[] { "a", "b", "d" } : ["a", "b"])
            {
                graph.Input.Add(Border(name, ElementType.Float));
                gemm.Input.Add(form.Widen ? $"{name}.wide" : name);
                if (!form.Widen) continue;
                graph.Node.Add(new NodeProto { OpType = "Cast", Input = { name }, Output = { $"{name}.wide" }, Attribute = { Int("to", (long)ElementType.Double) } });
            }
            gemm.Attribute.Add(Int("transA", form.TransposeA ? 1 : 0));
            gemm.Attribute.Add(Int("transB", form.TransposeB ? 1 : 0));
            if (form.Subtract) gemm.Attribute.Add(new AttributeProto { Name = "beta", Type = AttributeProto.Types.AttributeType.Float, F = -1 });
            graph.Node.Add(gemm);
            graph.Output.Add(Border("c", form.Double ? ElementType.Double : ElementType.Float));
            return new ModelProto { IrVersion = 8, OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 17 } }, Graph = graph }.ToByteArray();
        }

        private static AttributeProto Int(string name, long value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = value };

        private static ValueInfoProto Border(string name, ElementType type)
        {
            var shape = new TensorShapeProto();
            for (int i = 0; i < 2; i++) shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = $"{name}{i}" });
            return new() { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = shape } } };
        }
    }
}
