using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Sessions;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

[TestClass]
public sealed class LossScalerTests
{
    [TestMethod]
    public void Auto_halves_at_an_overflow_and_doubles_after_2000_good_steps()
    {
        var scaler = new LossScaler("auto", computes16Bit: true);
        Assert.AreEqual(65536, scaler.Scale);
        Assert.IsTrue(scaler.Overflowed());
        Assert.AreEqual(32768, scaler.Scale);
        for (int i = 0; i < 1999; i++) scaler.Passed();
        Assert.AreEqual(32768, scaler.Scale);
        scaler.Passed();
        Assert.AreEqual(65536, scaler.Scale);
        for (int i = 0; i < 1999; i++) scaler.Passed();
        Assert.IsTrue(scaler.Overflowed(), "an overflow begins the count anew");
        for (int i = 0; i < 1999; i++) scaler.Passed();
        Assert.AreEqual(32768, scaler.Scale);
    }

    [TestMethod]
    public void It_gives_up_where_the_scale_is_not_to_blame()
    {
        var auto = new LossScaler("auto", computes16Bit: true);
        int halvings = 0;
        while (auto.Overflowed()) halvings++;
        Assert.AreEqual(40, halvings, "from 2^16 to 2^-24");
        var number = new LossScaler("128", computes16Bit: true);
        int skipped = 0;
        while (number.Overflowed()) skipped++;
        Assert.AreEqual((25, 128), (skipped, number.Scale));
        Assert.IsFalse(new LossScaler("auto", computes16Bit: false).Overflowed());
        Assert.IsFalse(new LossScaler("off", computes16Bit: true).Overflowed());
    }

    [TestMethod]
    public void Options_say_what_they_take()
    {
        foreach (string spec in new[] { "auto", "off", "1024", "0.5" }) (TinyRun.Options with { LossScale = spec }).Check();
        foreach (string spec in new[] { "on", "-2", "0", "1e60", "NaN" })
            StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => (TinyRun.Options with { LossScale = spec }).Check()).Message, "loss-scale");
    }

    /// <summary>Powers of two come off a float32 gradient without a trace.</summary>
    [TestMethod]
    public void A_scaled_run_is_the_unscaled_one_bit_for_bit_and_goes_on_so_after_a_stop()
    {
        using var tiny = new TinyRun();
        var plain = Train(tiny, scale: false, "auto", 9, out RunEvent[] events);
        Assert.IsTrue(events.OfType<StepDone>().All(s => s.LossScale is null));
        var scaled = Train(tiny, scale: true, "auto", 9, out events);
        Assert.IsTrue(events.OfType<StepDone>().All(s => s.LossScale == 65536));
        Same(plain, scaled);
    }

    [TestMethod]
    public void A_step_that_overflows_is_left_out_and_halves_the_scale()
    {
        using var tiny = new TinyRun();
        Train(tiny, scale: true, "auto", 3, out RunEvent[] events, begin: 1e39); // beyond float32: the first backward passes are infinite
        StepSkipped[] skipped = [.. events.OfType<StepSkipped>()];
        Assert.IsNotEmpty(skipped);
        for (int i = 1; i < skipped.Length; i++) Assert.AreEqual(skipped[i - 1].LossScale / 2, skipped[i].LossScale);
        Assert.AreEqual(3, events.OfType<StepDone>().Count(), "steps that were left out do not count");
        Assert.AreEqual(skipped[^1].LossScale / 2, events.OfType<StepDone>().First().LossScale);
    }

    private static Dictionary<string, float[]> Train(TinyRun tiny, bool scale, string spec, int steps, out RunEvent[] events, double? begin = null)
    {
        ArtifactFolder folder = ArtifactFolder.Open(tiny.Artifacts);
        using TrainingSession session = TrainingSession.Open(folder, TinyRun.Device, new() { ScaleLoss = scale });
        BatchReader data = BatchReader.Open(tiny.Data, null, session.Inputs, tiny.Settings.Rows with { VocabularySize = 24 });
        using var trainer = new Trainer(session, TinyRun.Device, data, TinyRun.Options with { Steps = steps, LossScale = spec });
        if (begin is { } value) trainer.Scaler.Restore(value, 0);
        var all = new List<RunEvent>();
        trainer.Happened += all.Add;
        trainer.Run();
        events = [.. all];
        return session.Weights.ToDictionary(w => w.Name, w => w.Value.ToFloats());
    }

    private static void Same(Dictionary<string, float[]> expected, Dictionary<string, float[]> actual)
    {
        foreach (var (name, values) in expected) CollectionAssert.AreEqual(values, actual[name], name);
    }
}
