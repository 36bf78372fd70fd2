using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Artifacts;

[TestClass]
public sealed class CheckpointFileTests
{
    private const string Folder = "golden/ort-artifacts/minimal-mlp";

    [TestMethod]
    [DataRow("checkpoint", "checkpoint.json", 2)]
    [DataRow("checkpoint_v1", "checkpoint.json", 1)]
    [DataRow("nominal_checkpoint", "nominal_checkpoint.json", 2)]
    [DataRow("checkpoint_after_3_steps", "checkpoint_after_3_steps.json", 2)]
    [DataRow("masked/checkpoint", "masked/checkpoint.json", 2)]
    [DataRow("masked/checkpoint_v1", "masked/checkpoint.json", 1)]
    [DataRow("masked/nominal_checkpoint", "masked/nominal_checkpoint.json", 2)]
    [DataRow("masked/checkpoint_after_3_steps", "masked/checkpoint_after_3_steps.json", 2)]
    public void Golden_checkpoints_read_as_recorded_and_survive_a_round_trip(string file, string json, int version)
    {
        CheckpointFile golden = CheckpointFile.Read(TestFiles.Shared($"{Folder}/{file}"));
        JsonElement expected = JsonDocument.Parse(File.ReadAllText(TestFiles.Shared($"{Folder}/{json}"))).RootElement;
        Check(golden);

        using TempFolder temp = TestFiles.Temp();
        golden.Write(temp["checkpoint"]);
        Check(CheckpointFile.Read(temp["checkpoint"]));

        if (version < 2) return;
        golden.Write(temp["big"], externalData: true);
        Check(CheckpointFile.Read(temp["big"]));
        Assert.AreEqual(golden.IsNominal ? 0 : golden.Parameters.Concat(Moments(golden)).Count(t => t.ByteLength >= 64) > 0 ? 1 : 0,
            new FileInfo(temp["big.data"]) is { Exists: true, Length: > 0 } ? 1 : 0, "tensors of 64 bytes and more belong into the data file");

        void Check(CheckpointFile actual)
        {
            Assert.AreEqual(version, actual.Version);
            Assert.AreEqual(expected.GetProperty("is_nominal_state").GetBoolean(), actual.IsNominal);
            Same(expected.GetProperty("requires_grad_params"), actual.Trainable);
            Same(expected.GetProperty("frozen_params"), actual.Frozen);
            var groups = expected.GetProperty("optimizer_groups").EnumerateArray().ToArray();
            Assert.AreEqual(groups.Length, actual.Groups.Count);
            foreach (var (e, a) in groups.Zip(actual.Groups))
            {
                Assert.AreEqual(e.GetProperty("group_name").GetString(), a.Name);
                Assert.AreEqual(e.GetProperty("step").GetInt64(), a.Step);
                Assert.AreEqual((float)e.GetProperty("initial_learning_rate").GetDouble(), a.InitialLearningRate);
                foreach (var (es, s) in e.GetProperty("optimizer_states").EnumerateArray().Zip(a.States))
                {
                    Assert.AreEqual(es.GetProperty("param_name").GetString(), s.Parameter);
                    Same(es.GetProperty("momentums"), s.Moments);
                }
            }
            JsonElement bag = expected.GetProperty("property_bag");
            object[] values = [.. bag.GetProperty("ints").EnumerateArray().Select(p => (object)p[1].GetInt64()),
                .. bag.GetProperty("floats").EnumerateArray().Select(p => (object)(float)p[1].GetDouble()),
                .. bag.GetProperty("strings").EnumerateArray().Select(p => (object)p[1].GetString()!)];
            CollectionAssert.AreEqual(values, actual.Properties.Values.ToArray());
        }
    }

    private static IEnumerable<Tensor> Moments(CheckpointFile file) => file.Groups.SelectMany(g => g.States).SelectMany(s => s.Moments);

    private static void Same(JsonElement expected, IReadOnlyList<Tensor> actual)
    {
        Assert.AreEqual(expected.GetArrayLength(), actual.Count);
        foreach (var (e, a) in expected.EnumerateArray().Zip(actual))
        {
            Assert.AreEqual(e.GetProperty("name").GetString(), a.Name);
            CollectionAssert.AreEqual(e.GetProperty("dims").EnumerateArray().Select(d => d.GetInt64()).ToArray(), a.Dims);
            CollectionAssert.AreEqual(e.GetProperty("values").EnumerateArray().Select(d => (float)d.GetDouble()).ToArray(), a.ToFloats());
        }
    }

    [TestMethod]
    public void Every_type_odd_names_scalars_and_empty_tensors_survive()
    {
        var file = new CheckpointFile
        {
            Trainable = [Tensor.From("wörter/ä:~ 1", [1f, 2f, 3f, 4f, 5f, 6f], [2, 3]), Tensor.From<float>("scalar", [7f])],
            Frozen =
            [
                Tensor.From("long", [long.MinValue, 5L], 2), Tensor.From("double", [Math.PI], 1), Tensor.From("bool", [true, false, true], 3),
                Tensor.From("half", [(Half)0.5f], 1), Tensor.Empty("empty", ElementType.Float, [0, 4]), Tensor.From<byte>("bytes", new byte[1001], 1001),
            ],
            Groups = [new("group0", 12, 0.25f, [new("scalar", [Tensor.From<float>("momentum0", [1f]), Tensor.From<float>("momentum1", [2f])])])],
            Properties = new Dictionary<string, object> { ["a"] = 3L, ["b"] = 1.5f, ["ü"] = "ß" },
        };
        using TempFolder temp = TestFiles.Temp();
        foreach (bool external in (bool[])[true, false])
        {
            file.Write(temp["checkpoint"], external);
            Assert.AreEqual(external, File.Exists(temp["checkpoint.data"]), "an outdated data file must not stay");
            CheckpointFile back = CheckpointFile.Read(temp["checkpoint"]);
            foreach (var (expected, actual) in file.Parameters.Concat(Moments(file)).Zip(back.Parameters.Concat(Moments(back))))
            {
                Assert.AreEqual(expected.ToString(), actual.ToString());
                CollectionAssert.AreEqual(expected.AsSpan<byte>().ToArray(), actual.AsSpan<byte>().ToArray());
            }
            CollectionAssert.AreEquivalent(file.Properties.ToArray(), back.Properties.ToArray());
            Assert.AreEqual(12L, back.Groups[0].Step);
        }
    }

    [TestMethod]
    public void Tensors_lie_at_multiples_of_64_bytes()
    {
        using TempFolder temp = TestFiles.Temp();
        new CheckpointFile { Trainable = [Tensor.From("a", new float[7], 7), Tensor.From("b", new float[5], 5)] }.Write(temp["checkpoint"]);
        unsafe
        {
            foreach (Tensor t in CheckpointFile.Read(temp["checkpoint"]).Trainable) Assert.AreEqual(0, (long)t.Data % 64);
        }
    }

    /// <summary>Cuts and scrambles a good file in every place: the answer is a checkpoint or a LiftException, never another error.</summary>
    [TestMethod]
    public void Damage_anywhere_is_told_in_one_sentence()
    {
        byte[] good = File.ReadAllBytes(TestFiles.Shared($"{Folder}/checkpoint_after_3_steps"));
        using TempFolder temp = TestFiles.Temp();
        int told = 0;
        var random = new Random(1);
        for (int i = 0; i < good.Length; i += i < 400 ? 1 : 7)
        {
            Attempt(good[..i]);
            byte[] damaged = [.. good];
            damaged[i] ^= (byte)random.Next(1, 256);
            Attempt(damaged);
            BitConverter.TryWriteBytes(damaged.AsSpan(Math.Min(i, good.Length - 4)), uint.MaxValue - (uint)random.Next(64));
            Attempt(damaged);
        }
        Assert.IsGreaterThan(500, told);

        void Attempt(byte[] bytes)
        {
            File.WriteAllBytes(temp["checkpoint"], bytes);
            try
            {
                foreach (Tensor t in CheckpointFile.Read(temp["checkpoint"]).Parameters) t.AsSpan<byte>().ToArray();
            }
            catch (LiftException e)
            {
                told++;
                StringAssert.Contains(e.Message, temp["checkpoint"]);
            }
        }
    }

    [TestMethod]
    public void Wrong_files_are_refused_by_name()
    {
        using TempFolder temp = TestFiles.Temp();
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => CheckpointFile.Read(temp["absent"])).Message, "no file");
        File.WriteAllText(temp["text"], "this is no checkpoint");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => CheckpointFile.Read(temp["text"])).Message, "not an ONNX Runtime training checkpoint");
        File.WriteAllText(temp["empty"], "");
        Assert.ThrowsExactly<LiftException>(() => CheckpointFile.Read(temp["empty"]));

        new CheckpointFile { Version = 4 }.Write(temp["future"]);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => CheckpointFile.Read(temp["future"])).Message, "version 4");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new CheckpointFile { Version = 1 }.Write(temp["old"], externalData: true)).Message, "version 1");

        new CheckpointFile { Frozen = [Tensor.From("w", new float[100], 100)] }.Write(temp["big"], externalData: true);
        using (var data = File.OpenWrite(temp["big.data"])) data.SetLength(399);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => CheckpointFile.Read(temp["big"])).Message, "too short");
        File.Delete(temp["big.data"]);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => CheckpointFile.Read(temp["big"])).Message, "big.data");
    }

    [TestMethod]
    public void A_checkpoint_that_cannot_be_written_leaves_the_old_one()
    {
        using TempFolder temp = TestFiles.Temp();
        Directory.CreateDirectory(temp["checkpoint"]);
        File.WriteAllText(temp["checkpoint/old"], "kept");
        Assert.ThrowsExactly<LiftException>(() => new CheckpointFile { Trainable = [Tensor.From("w", [1f], 1)] }.Write(temp["checkpoint"]));
        Assert.AreEqual("kept", File.ReadAllText(temp["checkpoint/old"]));
        Assert.HasCount(0, Directory.GetFiles(temp.Path), "no temporary file stays");
    }
}
