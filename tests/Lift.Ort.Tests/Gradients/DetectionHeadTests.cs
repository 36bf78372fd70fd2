using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Gradients;

/// <summary>What is taken for a detector and what is not; the refusal through <c>lift prepare</c> is in SeveralOutputsTests.</summary>
[TestClass]
public sealed class DetectionHeadTests
{
    [TestMethod]
    [DataRow("detr", true)]
    [DataRow("GIoU", true)]
    [DataRow("mse", false)]
    public void Losses_of_detectors_are_known_by_name(string name, bool known) => Assert.AreEqual(known, DetectionHead.IsLoss(name));

    [TestMethod]
    [DataRow("logits", "pred_boxes:4", "name another output (whole, map)")]
    [DataRow("boxes", "Boxes:4", "name another output (whole, map)")]
    [DataRow("whole", "pred_boxes:4", null, DisplayName = "not an answer per query")]
    [DataRow("map", "pred_boxes:4", null, DisplayName = "not as many answers as boxes")]
    [DataRow("logits", "pred_boxes:5", null, DisplayName = "boxes have four numbers")]
    [DataRow("logits", "corners:4", null, DisplayName = "no boxes by name")]
    public void Answers_per_query_are_refused(string scored, string boxes, string? said)
    {
        string name = boxes.Split(':')[0];
        var graph = new Graph { Outputs = { Of("logits", "batch", 10, 7), Of(name, "batch", 10, long.Parse(boxes.Split(':')[1])), Of("whole", "batch", 7), Of("map", "batch", 20, 7) } };
        void Refuse() => DetectionHead.Refuse(graph, [scored == "boxes" ? name : scored]);
        if (said is null) Refuse();
        else StringAssert.Contains(Assert.ThrowsExactly<LiftException>(Refuse).Message, said);
    }

    [TestMethod]
    public void Where_there_is_no_other_output_a_head_is_advised()
    {
        var graph = new Graph { Outputs = { Of("logits", "batch", 10, 7), Of("pred_boxes", "batch", 10, 4) } };
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => DetectionHead.Refuse(graph, ["logits"])).Message, "train the backbone with a classification head");
    }

    private static GraphValue Of(string name, params Dim[] dims) => new(name, new(ElementType.Float, new Shape([.. dims])));
}
