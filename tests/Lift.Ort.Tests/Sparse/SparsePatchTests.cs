using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Tests.Sparse;

[TestClass]
public sealed class SparsePatchTests
{
    private static Tensor[] Base() =>
    [
        Tensor.From<float>("a/w.0", [1f, 2, 3, 4, 5, 6], 2, 3), Tensor.From<Half>("b", [(Half)1, (Half)2], 2), Tensor.From<float>("same", [1f], 1),
    ];

    private static Tensor[] Trained()
    {
        Tensor[] trained = [.. Base().Select(t => t.Copy())];
        trained[0].AsSpan<float>()[1] = 2.5f;
        trained[0].AsSpan<float>()[5] = -0f;
        trained[1].AsSpan<Half>()[0] = (Half)7;
        return trained;
    }

    [TestMethod]
    public void Round_trip_through_a_file_gives_the_trained_weights()
    {
        using var folder = TestFiles.Temp();
        SparsePatch made = SparsePatch.Difference(Base(), Trained(), "abc");
        made.Save(folder["p.safetensors"]);

        SparsePatch read = SparsePatch.Load(folder["p.safetensors"]);
        var applied = read.ApplyTo(Base().ToDictionary(t => t.Name));

        Assert.AreEqual(3, read.Length);
        Assert.AreEqual("abc", read.ModelSha256);
        CollectionAssert.AreEquivalent(new[] { "a/w.0", "b" }, applied.Keys.ToArray());
        foreach (Tensor t in Trained().Take(2)) CollectionAssert.AreEqual(t.AsSpan<byte>().ToArray(), applied[t.Name].AsSpan<byte>().ToArray());
        CollectionAssert.AreEqual(new[] { 1, 5 }, read.Entries.Single(e => e.Weight == "a/w.0").Positions.AsSpan<int>().ToArray());
    }

    [TestMethod]
    public void Graph_is_patched_in_place()
    {
        var graph = new Graph();
        foreach (Tensor t in Base()) graph.Initializers.Add(t.Name, t);
        SparsePatch.Difference(Base(), Trained()).ApplyTo(graph);
        CollectionAssert.AreEqual(Trained()[0].AsSpan<float>().ToArray(), graph.Initializers["a/w.0"].AsSpan<float>().ToArray());
    }

    [TestMethod]
    public void Wrong_base_is_refused_in_one_sentence()
    {
        SparsePatch patch = SparsePatch.Difference(Base(), Trained());
        (string Part, Action<Dictionary<string, Tensor>> Change)[] cases =
        [
            ("other values", d => d["a/w.0"] = Tensor.From<float>("a/w.0", [1f, 2, 3, 4, 5, 7], 2, 3)),
            ("not float[2, 3]", d => d["a/w.0"] = Tensor.From<float>("a/w.0", [1f, 2, 3, 4, 5, 6], 3, 2)),
            ("not float16[2]", d => d["b"] = Tensor.From<float>("b", [1f, 2], 2)),
            ("no weight 'b'", d => d.Remove("b")),
        ];
        foreach (var (part, change) in cases)
        {
            var weights = Base().ToDictionary(t => t.Name);
            change(weights);
            string message = Assert.ThrowsExactly<LiftException>(() => patch.ApplyTo(weights)).Message;
            StringAssert.Contains(message, part);
        }
    }

    [TestMethod]
    public void Files_that_are_no_patch_are_refused()
    {
        using var folder = TestFiles.Temp();
        Safetensors.Write(folder["plain"], Base());
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => SparsePatch.Load(folder["plain"])).Message, "no sparse patch");

        var metadata = new Dictionary<string, string> { ["format"] = "lift-patch-1", ["weights"] = "{\"w\":{\"dims\":[2],\"sha256\":\"\"}}" };
        Safetensors.Write(folder["lacking"], Base(), metadata);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => SparsePatch.Load(folder["lacking"])).Message, "damaged");

        Safetensors.Write(folder["beyond"], [Tensor.From<int>("w.positions", [0, 2], 2), Tensor.From<float>("w.values", [1f, 2f], 2)], metadata);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => SparsePatch.Load(folder["beyond"])).Message, "position 2");
    }
}
