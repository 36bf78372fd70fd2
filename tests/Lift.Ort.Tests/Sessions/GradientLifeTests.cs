using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Sessions;

/// <summary>Dense gradients of different layers never live at once: ONNX Runtime's own profile shows in which order the nodes ran.</summary>
[TestClass]
public sealed class GradientLifeTests
{
    [TestMethod]
    [DataRow("stories260k")]
    [DataRow("llama-tiny-folded")]
    public void Each_dense_gradient_is_gathered_before_the_next_one_is_made(string name)
    {
        var golden = new GoldenModel(name);
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder folder = ArtifactFolder.Create(golden.Graph(), golden.ModelPath, temp["artifacts"]);
        using var session = TrainingSession.Open(folder, Device.Open(), new()
        {
            Configure = options =>
            {
                options.EnableProfiling = true;
                options.ProfileOutputPathPrefix = temp["profile"];
            },
        });
        session.SetMasks(session.Weights.ToDictionary(w => w.Name, w => (int[]?)[.. Enumerable.Range(0, (int)w.Count / 20)]));
        session.Step(golden.Batch(0));
        string[] order = [.. JsonDocument.Parse(File.ReadAllText(session.EndProfiling())).RootElement.EnumerateArray()
            .Where(e => e.GetProperty("cat").GetString() == "Node" && e.GetProperty("name").GetString()!.EndsWith("_kernel_time"))
            .OrderBy(e => e.GetProperty("ts").GetInt64()).Select(e => e.GetProperty("name").GetString()![..^"_kernel_time".Length])];

        Assert.IsGreaterThan(10, session.Weights.Count);
        foreach (SessionWeight weight in session.Weights)
        {
            // The flattened gradient is the gradient's own memory, so the pair lives from the node before it to the Gather.
            int flat = Array.IndexOf(order, $"lift/flat/{weight.Name}"), chosen = Array.IndexOf(order, $"lift/chosen/{weight.Name}");
            Assert.AreEqual(flat + 1, chosen, $"{weight.Name}: {string.Join(" → ", order[Math.Max(0, flat - 2)..Math.Min(order.Length, chosen + 1)])}");
            NodeProducing(folder, weight.Name, order, flat);
        }
    }

    /// <summary>The node that makes the gradient runs immediately before; fused nodes keep a part of its name.</summary>
    private static void NodeProducing(ArtifactFolder folder, string weight, string[] order, int flat)
    {
        string producer = folder.TrainingModel.Graph.Node.First(n => n.Output.Contains(ArtifactNames.Gradient(weight))).Name;
        StringAssert.Contains(order[flat - 1], producer, $"{weight}: its gradient comes from {producer}");
    }
}
