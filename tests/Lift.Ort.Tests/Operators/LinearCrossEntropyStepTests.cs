using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Lift.Ort.Tests.Devices;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Operators;

/// <summary>The linear layer with its loss, some rows at a time.</summary>
[TestClass]
public sealed class LinearCrossEntropyStepTests
{
    private const string Op = "LinearCrossEntropyStep";

    /// <summary>Chunks of 4 rows (2 where the weight stays), the last one shorter: gradients of weight and bias are added up over them.</summary>
    [TestMethod]
    public void Rows_go_in_chunks_on_the_cpu() => InChunks(() =>
    {
        foreach (OperatorCase c in OperatorCases.For(Op))
        {
            c.Check(ElementType.Float);
            c.Check(ElementType.Double);
        }
    });

    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void Rows_go_in_chunks_on_a_gpu(string name)
    {
        using IDevice device = TestDevice.Open(name);
        InChunks(() =>
        {
            foreach (OperatorCase c in OperatorCases.For(Op).Where(c => c.Inputs[0]!.Values.Length < 2000)) c.Check(ElementType.Float, node => node with { Device = device });
            OperatorCase several = OperatorCases.For(Op).First(c => c.Node.Outputs == 4 && c.Inputs[0]!.Values.Length is > 10 and < 2000 && c.Inputs.Length > 4);
            foreach (ElementType type in new[] { ElementType.Float16, ElementType.BFloat16 })
            {
                TestTensor?[] inputs = [.. several.Inputs.Select((t, i) => i is 0 or 1 or 4 ? t?.Rounded(type) : t)];
                TestTensor[] expected = several.Node.Run(inputs), actual = (several.Node with { Device = device }).Run([.. inputs.Select((t, i) => i is 0 or 1 or 4 ? t?.As(type) : t)]);
                foreach (var (e, a) in expected.Zip(actual))
                {
                    double largest = e.Values.Max(Math.Abs), error = e.Values.Zip(a.Values, (x, y) => Math.Abs(x - y)).Max();
                    Assert.IsLessThan(type == ElementType.Float16 ? 2e-3 : 1.5e-2, error / largest, $"{type} [{string.Join(", ", e.Dims)}]");
                }
                CollectionAssert.AreEqual(new[] { ElementType.Float, type, ElementType.Float, ElementType.Float }, actual.Select(a => a.Type).ToArray());
            }
        });
    }

    [TestMethod]
    public void A_label_that_is_no_class_is_named()
    {
        Grid hidden = Grid.Normal(1, 3, 4), weight = Grid.Normal(2, 4, 5);
        var error = Assert.ThrowsExactly<OnnxRuntimeException>(() => new OneNode(Op, ("ignore_index", -100L)) { Domain = "lift.ort" }.Run(hidden, weight, new(ElementType.Int64, [3], [0, -100, 5]), null));
        StringAssert.Contains(error.Message, "label 5 at position 2 is not in 0 … 4");
    }

    [TestMethod]
    public void Tensors_that_do_not_fit_are_named()
    {
        Grid hidden = Grid.Normal(1, 3, 4), weight = Grid.Normal(2, 4, 5);
        OneNode node = new(Op, ("turned", 1L)) { Domain = "lift.ort" };
        StringAssert.Contains(Assert.ThrowsExactly<OnnxRuntimeException>(() => node.Run(hidden, weight, new(ElementType.Int64, [3], [0, 1, 2]))).Message,
            "hidden [3, 4], weight [4, 5] (a row for each class) and labels [3] do not fit");
    }

    /// <summary>Labels outside the classes cannot be named from a GPU: they make everything NaN.</summary>
    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void A_label_that_is_no_class_gives_nan_on_a_gpu(string name)
    {
        using IDevice device = TestDevice.Open(name);
        Grid hidden = Grid.Normal(1, 3, 4), weight = Grid.Normal(2, 4, 5);
        TestTensor[] outputs = (new OneNode(Op) { Domain = "lift.ort", Outputs = 2 } with { Device = device }).Run(hidden, weight, new(ElementType.Int64, [3], [0, 1, 5]), TestTensor.Of(1));
        Assert.IsTrue(double.IsNaN(outputs[0].Values[0]));
        Assert.IsTrue(outputs[1].Values[8..].All(double.IsNaN));
        Assert.IsTrue(outputs[1].Values[..8].All(double.IsFinite));
    }

    /// <summary>Runs with room for the fewest rows at a time, of which there are 2 or 4.</summary>
    internal static void InChunks(Action test)
    {
        var (cpu, cuda, rowsCpu, rowsCuda) = (LinearCrossEntropyStep.CpuBudget, LinearCrossEntropyStep.CudaBudget, LinearCrossEntropyStep.SmallestCpuChunk, LinearCrossEntropyStep.SmallestCudaChunk);
        try
        {
            (LinearCrossEntropyStep.CpuBudget, LinearCrossEntropyStep.CudaBudget, LinearCrossEntropyStep.SmallestCpuChunk, LinearCrossEntropyStep.SmallestCudaChunk) = (1, 1, 2, 4);
            test();
        }
        finally
        {
            (LinearCrossEntropyStep.CpuBudget, LinearCrossEntropyStep.CudaBudget, LinearCrossEntropyStep.SmallestCpuChunk, LinearCrossEntropyStep.SmallestCudaChunk) = (cpu, cuda, rowsCpu, rowsCuda);
        }
    }
}
