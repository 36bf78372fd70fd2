using System.Text.Json;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Sessions;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class GradientsCommandTests
{
    /// <summary>Golden cases through the program: prepare everything, gradients, and back from the file.</summary>
    [TestMethod]
    [DataRow("gpt2-tiny")]
    [DataRow("mlp")]
    public void Loss_and_gradients_are_the_golden_ones(string model)
    {
        using TempFolder folder = TestFiles.Temp();
        var golden = new GoldenModel(model);
        LiftRun.Here("prepare", golden.ModelPath, "-o", folder["p"], "--loss", golden.Loss, "--train", "*").Good();
        for (int i = 0; i < golden.Cases; i++)
        {
            File.WriteAllText(folder["batch.json"], JsonSerializer.Serialize(golden.Batch(i).ToDictionary(b => b.Key, b => Describe(b.Value))));
            var result = LiftRun.Here("gradients", folder["p"], "--inputs", folder["batch.json"], "-o", folder["g.safetensors"]).Good().Json;
            Assert.AreEqual(golden.LossOf(i), (double)result["loss"]!, 1e-5 * golden.LossOf(i));
            var gradients = Safetensors.Read(folder["g.safetensors"]).Tensors.ToDictionary(t => t.Key, t => t.Value.ToFloats());
            var wrong = golden.Errors(i, gradients).Where(e => !(e.Value <= 1e-4));
            Assert.AreEqual("", string.Join("; ", wrong));
        }
    }

    [TestMethod]
    [DataRow("{", "JSON")]
    [DataRow("""{"input_ids": {"dtype": "int64", "shape": [1, 3], "data": [1, 2]}}""", "2 numbers")]
    [DataRow("""{"input_ids": {"dtype": "word", "shape": [1], "data": [1]}}""", "word")]
    [DataRow("""{"input_ids": {"dtype": "int64", "shape": [1], "data": [1.5]}}""", "input_ids")]
    [DataRow("""{"input_ids": {"dtype": "int64", "shape": [1, 1]}}""", "input_ids")]
    [DataRow("""{"input_ids": {"dtype": "int64", "shape": [1, 1], "data": [1]}, "input_ids": {"dtype": "int64", "shape": [1, 1], "data": [2]}}""", "the input 'input_ids' twice")]
    [DataRow("""{"input_ids": {"dtype": "int64", "shape": [4294967296, 4294967296], "data": []}}""", "0 numbers")]
    [DataRow("""{"input_ids": {"dtype": "int64", "shape": [1, 1], "data": [1]}}""", "labels")]
    [DataRow("""{"input_ids": {"dtype": "int64", "shape": [1, 2], "data": [1, 2]}, "labels": {"dtype": "int64", "shape": [1, 2], "data": [1, 999]}}""", "999")]
    [DataRow("""{"input_ids": {"dtype": "int64", "shape": [1, 2], "data": [1, 999]}, "labels": {"dtype": "int64", "shape": [1, 2], "data": [1, 2]}}""", "999")]
    public void Broken_batch_is_named(string json, string word)
    {
        using TempFolder folder = TestFiles.Temp();
        LiftRun.Here("new", "--layers", "1", "-o", folder["m.onnx"]).Good();
        LiftRun.Here("prepare", folder["m.onnx"], "-o", folder["p"]).Good();
        File.WriteAllText(folder["batch.json"], json);
        StringAssert.Contains(LiftRun.Here("gradients", folder["p"], "--inputs", folder["batch.json"], "-o", folder["g.safetensors"]).Refused(), word);
        Assert.IsFalse(File.Exists(folder["g.safetensors"]));
    }

    private static object Describe(Tensor t) => t.Type == ElementType.Int64
        ? new { dtype = "int64", shape = t.Dims, data = (object)t.ToLongs() }
        : new { dtype = "float32", shape = t.Dims, data = (object)t.ToFloats() };
}
