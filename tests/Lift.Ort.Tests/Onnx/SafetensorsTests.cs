using System.Text;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Onnx;

[TestClass]
public sealed unsafe class SafetensorsTests
{
    [TestMethod]
    public void What_is_written_is_read()
    {
        using var folder = TestFiles.Temp();
        Tensor[] tensors =
        [
            Tensor.From<byte>("bytes", [1, 2, 3], 3), Tensor.From<float>("w", [1.5f, -2, 3, 4, 5, 6], 2, 3), Tensor.From<long>("positions", [7, 1L << 40], 2),
            Tensor.From<Half>("half", [(Half)0.5], 1), Tensor.From<int>("empty", [], 0, 4), Tensor.Scalar("scalar", 2.25), Tensor.From<bool>("flags", [true, false], 2),
            new("brain", ElementType.BFloat16, [2], Raw.Data, Raw),
        ];
        Safetensors.Write(folder["a.safetensors"], tensors, new Dictionary<string, string> { ["who"] = "a \"test\" ü" });

        Safetensors read = Safetensors.Read(folder["a.safetensors"]);

        Assert.AreEqual("a \"test\" ü", read.Metadata["who"]);
        Assert.HasCount(tensors.Length, read.Tensors);
        foreach (Tensor t in tensors)
        {
            Tensor back = read.Tensors[t.Name];
            Assert.AreEqual(t.ToString(), back.ToString());
            CollectionAssert.AreEqual(t.AsSpan<byte>().ToArray(), back.AsSpan<byte>().ToArray(), t.Name);
        }
    }

    [TestMethod]
    public void Header_is_the_published_form()
    {
        using var folder = TestFiles.Temp();
        Safetensors.Write(folder["a"], [Tensor.From<float>("w", [1f, 2f], 1, 2)]);
        byte[] bytes = File.ReadAllBytes(folder["a"]);
        string header = "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}";
        Assert.AreEqual(0, BitConverter.ToInt64(bytes) % 8);
        Assert.AreEqual(header, Encoding.UTF8.GetString(bytes, 8, (int)BitConverter.ToInt64(bytes)).TrimEnd());
        CollectionAssert.AreEqual(new byte[] { 0, 0, 128, 63, 0, 0, 0, 64 }, bytes[^8..]);
    }

    [TestMethod]
    [DataRow("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "does not fit")]
    [DataRow("{\"w\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype 'F33'")]
    [DataRow("{\"w\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "'w'")]
    [DataRow("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "starts at byte 4")]
    [DataRow("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, "end at byte 4 of 8")]
    [DataRow("{\"w\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,2],\"data_offsets\":[0,4]}}", 4, "'w'")]
    [DataRow("{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "'w'")]
    [DataRow("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "'w' occurs twice")]
    [DataRow("[1]", 0, "not a JSON object")]
    [DataRow("{\"w\":", 0, "not JSON")]
    public void Broken_files_are_named(string header, int bytes, string expected)
    {
        using var folder = TestFiles.Temp();
        File.WriteAllBytes(folder["bad"], [.. BitConverter.GetBytes((long)header.Length), .. Encoding.UTF8.GetBytes(header), .. new byte[bytes]]);
        var e = Assert.ThrowsExactly<LiftException>(() => Safetensors.Read(folder["bad"]));
        StringAssert.Contains(e.Message, expected);
        StringAssert.Contains(e.Message, folder["bad"]);
    }

    [TestMethod]
    public void Truncated_empty_and_missing_files_are_named()
    {
        using var folder = TestFiles.Temp();
        File.WriteAllBytes(folder["empty"], []);
        File.WriteAllBytes(folder["short"], [255, 255, 0, 0, 0, 0, 0, 0, 1]);
        foreach (string name in new[] { "empty", "short", "missing" })
        {
            StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Safetensors.Read(folder[name])).Message, folder[name]);
        }
    }

    [TestMethod]
    public void Failed_write_leaves_the_old_file()
    {
        using var folder = TestFiles.Temp();
        Assert.ThrowsExactly<LiftException>(() => Safetensors.Write(folder["no/such/folder"], [Tensor.Scalar("x", 1f)]));
        Safetensors.Write(folder["a"], [Tensor.Scalar("x", 1f)]);
        Assert.ThrowsExactly<LiftException>(() => Safetensors.Write(folder["a"], [Tensor.Scalar("x", 1f), Tensor.Scalar("x", 2f)]));
        Assert.AreEqual(1f, Safetensors.Read(folder["a"]).Tensors["x"].AsSpan<float>()[0]);
        Assert.HasCount(1, Directory.GetFiles(folder.Path));
    }

    private static NativeBuffer Raw { get; } = new(4);

    static SafetensorsTests() => new Span<byte>(Raw.Data, 4).Fill(0x3f);
}
