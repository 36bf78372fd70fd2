using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions.Metrics;

namespace Lift.Ort.Tests.Sessions.Metrics;

/// <summary>Metrics against small examples worked out by hand.</summary>
[TestClass]
public sealed class TaskMetricTests
{
    [TestMethod]
    public void Every_loss_but_that_of_language_models_has_a_metric() =>
        Assert.AreEqual("causal-lm", string.Join(", ", Losses.All.Where(l => TaskMetric.For(l, new()) is null).Select(l => l.Name)));

    [TestMethod]
    public void Classes_are_counted_by_row_and_outside_is_left_out()
    {
        // labels 0 1 2 1, answers 0 1 1 2; the last row is not counted
        float[] scores = [9, 0, 0, 0, 9, 0, 0, 9, 0, 0, 0, 9, 9, 0, 0];
        var result = Judge("cross-entropy", scores, [5, 3], Tensor.From<long>("labels", [0, 1, 2, 1, -100], 5));
        Assert.AreEqual(0.5, result["accuracy"]);
        Assert.AreEqual((1 + 0.5 + 0) / 3, result["f1"], 1e-9);
        Assert.IsFalse(result.ContainsKey("mean_iou"));
        Assert.AreEqual(0.25, Judge("cross-entropy", scores, [5, 3], Tensor.From<long>("labels", [0, 1, 2, 1, -100], 5), names: ["O", "A", "B"])["f1"], 1e-9);
    }

    [TestMethod]
    public void Pixels_have_their_classes_on_axis_1()
    {
        float[] scores = [1, 0, 0, 1, /* class 1 */ 0, 1, 1, 0]; // [1, 2, 2, 2]: answers 0 1 1 0
        var result = Judge("cross-entropy", scores, [1, 2, 2, 2], Tensor.From<long>("labels", [0, 1, 0, 0], 1, 2, 2));
        Assert.AreEqual(0.75, result["accuracy"]);
        Assert.AreEqual((2.0 / 3 + 0.5) / 2, result["mean_iou"], 1e-9);
    }

    [TestMethod]
    public void Numbers_have_errors_and_explained_variance()
    {
        var result = Judge("mse", [1, 2, 3, 5], [4, 1], Tensor.From<float>("labels", [1, 2, 3, 4], 4, 1));
        Assert.AreEqual((0.25, 0.25), (result["mse"], result["mae"]));
        Assert.AreEqual(1 - (0.25 / 1.25), result["r2"], 1e-9);
    }

    [TestMethod]
    public void Yes_and_no_are_told_apart_at_zero_or_one_half()
    {
        Tensor labels = Tensor.From<float>("labels", [1, 0, 1, -100], 2, 2);
        var result = Judge("bce", [2, 1, -1, 5], [2, 2], labels);
        Assert.AreEqual(1 / 3.0, result["accuracy"], 1e-9);
        Assert.AreEqual(0.5, result["f1"], 1e-9);
        Assert.AreEqual(2 / 3.0, Judge("bce", [0.9f, 0.2f, 0.1f, 0.3f], [2, 2], labels, probabilities: true)["accuracy"], 1e-9);
        Assert.AreEqual(0.5, Judge("hinge", [2, 1], [2, 1], Tensor.From<float>("labels", [1, -1], 2, 1))["accuracy"]);
    }

    [TestMethod]
    public void Anchors_look_for_their_positive_over_all_batches()
    {
        TaskMetric metric = TaskMetric.For(Losses.Find("contrastive"), new())!;
        metric.Add(Batch(null), new([1, 0, 2, 0.1f, 0, 1, 0.9f, 0.5f], [4, 2])); // the second anchor's positive is nearer to the first anchor's
        metric.Add(Batch(null), new([-1, 0, -1, 0], [2, 2]));
        var result = metric.Result();
        Assert.AreEqual(1, result["recall_at_1"], 1e-9);
        metric.Add(Batch(null), new([0, 1, -1, -1, 0, 3, 0, 1], [4, 2])); // one whose own is the worst of all
        Assert.IsTrue(metric.Result()["recall_at_1"] < 1);
        Assert.IsTrue(metric.Result()["mrr"] > metric.Result()["recall_at_1"]);
    }

    [TestMethod]
    public void Positions_are_pooled_as_the_loss_does()
    {
        var batch = new Batch(new Dictionary<string, Tensor> { ["attention_mask"] = Tensor.From<long>("attention_mask", [1, 1, 0, 1, 0, 0], 2, 3) }, 1, 3, 1);
        var scores = new Scores([1, 2, 3, 4, 9, 9, 5, 6, 9, 9, 9, 9], [2, 3, 2]);
        CollectionAssert.AreEqual(new float[] { 2, 3 }, EmbeddingMetric.Pool(batch, scores, new())[0]);
        CollectionAssert.AreEqual(new float[] { 5, 6 }, EmbeddingMetric.Pool(batch, scores, new())[1]);
        CollectionAssert.AreEqual(new float[] { 3, 4 }, EmbeddingMetric.Pool(batch, scores, new() { Pooling = Pooling.Last })[0]);
        CollectionAssert.AreEqual(new float[] { 1, 2 }, EmbeddingMetric.Pool(batch, scores, new() { Pooling = Pooling.Cls })[0]);

        Batch towers = new(new Dictionary<string, Tensor> { ["query_mask"] = Tensor.From<long>("query_mask", [1, 1, 0, 1, 0, 0], 2, 3), ["doc_mask"] = Tensor.From<long>("doc_mask", [1, 0, 0, 1, 0, 0], 2, 3) }, 2, 3, 2);
        CollectionAssert.AreEqual(new float[] { 2, 3 }, EmbeddingMetric.Pool(towers, scores, new(), 0, 2)[0]);
        CollectionAssert.AreEqual(new float[] { 1, 2 }, EmbeddingMetric.Pool(towers, scores, new(), 1, 2)[0], "the second text's own mask, though both are as long");
    }

    [TestMethod]
    public void Correlations_are_those_of_values_and_of_ranks()
    {
        // cosines 1, 0, -1 against 5, 1, 0
        var result = Judge("cosine", [1, 0, 1, 0, 1, 0, 0, 1, 1, 0, -1, 0], [6, 2], Tensor.From<float>("labels", [5, 1, 0], 3));
        Assert.AreEqual(1, result["spearman"], 1e-9);
        Assert.AreEqual(5 / Math.Sqrt(2 * 14), result["pearson"], 1e-6);
    }

    [TestMethod]
    public void Symbols_are_read_off_joined_and_compared()
    {
        float[] Best(params int[] classes) => [.. classes.SelectMany(c => Enumerable.Range(0, 3).Select(k => k == c ? 1f : 0))];
        float[] scores = [.. Best(1, 1, 0, 1, 2), .. Best(2, 2, 2, 0, 0)]; // 1 1 2 and 2
        var result = Judge("ctc", scores, [2, 5, 3], Tensor.From<long>("labels", [1, 1, 2, 1, 2, -100], 2, 3));
        Assert.AreEqual(1 / 5.0, result["symbol_error_rate"], 1e-9);
        Assert.AreEqual(3, SymbolMetric.Distance([1, 2, 3], [4, 5, 6]));
        Assert.AreEqual(2, SymbolMetric.Distance([], [4, 5]));
    }

    private static Batch Batch(Tensor? labels) => new(labels is null ? new Dictionary<string, Tensor>() : new() { ["labels"] = labels }, 1, 1, 1);

    private static IReadOnlyDictionary<string, double> Judge(string loss, float[] scores, long[] dims, Tensor labels, IReadOnlyList<string>? names = null, bool probabilities = false)
    {
        TaskMetric metric = TaskMetric.For(Losses.Find(loss), new(), names, probabilities)!;
        metric.Add(Batch(labels), new(scores, dims));
        return metric.Result();
    }
}
