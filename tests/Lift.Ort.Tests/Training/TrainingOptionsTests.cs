using Lift.Ort.Sparse;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

[TestClass]
public sealed class TrainingOptionsTests
{
    [TestMethod]
    public void Everything_wrong_is_reported_at_once_with_its_value()
    {
        var options = new TrainingOptions { Steps = 0, Accumulate = -1, LearningRate = double.NaN, Selection = "best", FilterRank = 0, Interval = -7, Optimizer = new AdamWOptions { Beta1 = 1.5 } };
        string message = Assert.ThrowsExactly<LiftException>(() => options.Check()).Message;
        foreach (string part in new[] { "steps is 0", "accumulate is -1", "lr is NaN", "selection is best", "filter-rank is 0", "interval is -7", "beta1 is 1.5", "gradient-magnitude" }) StringAssert.Contains(message, part);
    }

    [TestMethod]
    public void Defaults_are_good() => Assert.AreEqual(AdamWForm.Hf, new TrainingOptions().Check().AdamW.Form);

    [TestMethod]
    public void Full_fine_tuning_takes_the_form_of_PyTorch_unless_told_otherwise()
    {
        Assert.AreEqual(AdamWForm.Torch, new TrainingOptions { Selection = "full" }.AdamW.Form);
        Assert.AreEqual(AdamWForm.Hf, new TrainingOptions { Selection = "full", Optimizer = new() { Form = AdamWForm.Hf } }.AdamW.Form);
    }

    [TestMethod]
    [DataRow(3.0, 10, 1, 30)]
    [DataRow(3.0, 10, 4, 8)]
    [DataRow(0.5, 5, 1, 3)]
    [DataRow(0.01, 5, 1, 1)]
    public void Epochs_make_steps(double epochs, int batches, int accumulate, int expected) =>
        Assert.AreEqual(expected, new TrainingOptions { Epochs = epochs, Accumulate = accumulate }.StepsFor(batches));
}
