using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Operators;

[TestClass]
public class TrainingOperatorsTests
{
    public static IEnumerable<object[]> Names => TrainingOperators.Names.Select(n => new object[] { n });

    [TestMethod, DynamicData(nameof(Names))]
    public void Kernel_matches_a_plain_loop(string op)
    {
        bool hasDouble = TrainingOperators.Table.Single(s => s.Name == op).Inputs.Any(p => p.Type == "T");
        foreach (OperatorCase c in OperatorCases.For(op))
        {
            c.Check(ElementType.Float);
            if (hasDouble) c.Check(ElementType.Double);
        }
    }

    [TestMethod]
    public void A_kernels_exception_is_the_runs_error_with_its_words()
    {
        var x = Grid.Normal(1, 2, 3);
        var error = Assert.ThrowsExactly<OnnxRuntimeException>(() => new OneNode("SoftmaxGrad_13", ("axis", 5)).Run(x, x));
        StringAssert.Contains(error.Message, "SoftmaxGrad_13 'tested': axis 5 does not exist in a tensor of rank 2");
    }

    [TestMethod]
    public void An_exception_on_another_thread_is_the_runs_error_too()
    {
        Grid logProb = Grid.Normal(1, 400, 500);
        double[] labels = new double[400];
        labels[399] = 500;
        var error = Assert.ThrowsExactly<OnnxRuntimeException>(() =>
            new OneNode("SoftmaxCrossEntropyLossGrad", ("reduction", "sum")).Run(TestTensor.Of(1), logProb, new(ElementType.Int64, [400], labels)));
        StringAssert.Contains(error.Message, "label 500 at position 399 is not in 0 … 499");
    }

    [TestMethod]
    public void A_wrong_attribute_is_an_error_when_the_session_opens()
    {
        Grid x = Grid.Normal(1, 2, 3);
        var error = Assert.ThrowsExactly<OnnxRuntimeException>(() =>
            new OneNode("SoftmaxCrossEntropyLossInternalGrad", ("reduction", "median")).Run(TestTensor.Of(1), x, new(ElementType.Int64, [2], [0, 1])));
        StringAssert.Contains(error.Message, "reduction 'median' is neither none, sum nor mean");
    }

    [TestMethod]
    public void The_accumulator_writes_into_the_memory_that_was_bound()
    {
        float[] sum = [1, 2, 3];
        using var options = new SessionOptions();
        TrainingOperators.AddTo(options);
        var value = new Grid([3], [10, 20, 30]);
        byte[] model = Google.Protobuf.MessageExtensions.ToByteArray(new OneNode("InPlaceAccumulatorV2").Model([value, value]));
        using var session = new InferenceSession(model, options);
        using var run = new RunOptions();
        using OrtValue buffer = OrtValue.CreateTensorValueFromMemory(sum, [3]), gradient = ((TestTensor)value).ToOrt();
        for (int i = 0; i < 2; i++) session.Run(run, ["in0", "in1"], [buffer, gradient], ["out0"]).Dispose();
        CollectionAssert.AreEqual(new float[] { 21, 42, 63 }, sum);
    }

    [TestMethod]
    [DataRow("Attention")]
    [DataRow("AttentionGrad")]
    public void One_thread_and_three_give_the_same_bits(string op)
    {
        OperatorCase c = OperatorCases.For(op)[4]; // two batches of three heads, more rows than one block
        List<double[]> results = [];
        foreach (int threads in new[] { 1, 3 })
        {
            using var options = new SessionOptions { IntraOpNumThreads = threads };
            TrainingOperators.AddTo(options);
            using var session = new InferenceSession(Google.Protobuf.MessageExtensions.ToByteArray(c.Node.Model(c.Inputs)), options);
            using var run = new RunOptions();
            var named = c.Inputs.Index().Where(i => i.Item is not null).ToDictionary(i => $"in{i.Index}", i => i.Item!.ToOrt());
            using var outputs = session.Run(run, named, [.. session.OutputMetadata.Keys]);
            results.Add([.. outputs.SelectMany(o => TestTensor.From(o).Values)]);
            foreach (OrtValue value in named.Values) value.Dispose();
        }
        CollectionAssert.AreEqual(results[0], results[1]);
    }
}
