using Lift.Ort.Gradients;

namespace Lift.Ort.Tests.Gradients;

[TestClass]
public sealed class LossTermTests
{
    [TestMethod]
    [DataRow("mse", "mse", "", null, 1.0)]
    [DataRow("mse:price", "mse", "price", null, 1.0)]
    [DataRow("cross-entropy:logits_a=label_a*0.5", "cross-entropy", "logits_a", "label_a", 0.5)]
    [DataRow("contrastive: image_embeds , text_embeds", "contrastive", "image_embeds text_embeds", null, 1.0)]
    [DataRow("mse:a/b.c=x,y*2e-3", "mse", "a/b.c", "x,y", 0.002)]
    [DataRow("mae*3", "mae", "", null, 3.0)]
    [DataRow("mae=y", "mae", "", "y", 1.0)]
    public void A_text_names_loss_outputs_field_and_weight(string text, string loss, string outputs, string? field, double weight)
    {
        LossTerm term = LossTerm.Parse(text, new());
        Assert.AreEqual((loss, outputs, field, weight), (term.Loss, string.Join(' ', term.Outputs), term.Field, term.Weight));
    }

    [TestMethod]
    [DataRow("", "write NAME")]
    [DataRow("mse:", "write NAME")]
    [DataRow("mse:a=", "write NAME")]
    [DataRow("mse:a*", "write NAME")]
    [DataRow("squares:a", "no loss 'squares'")]
    [DataRow("mse:a*0", "a number above 0")]
    [DataRow("mse:a*-1", "a number above 0")]
    [DataRow("mse:a*inf", "a number above 0")]
    [DataRow("mse:a*1,5", "a number above 0")]
    public void What_has_another_form_is_refused(string text, string said) => StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => LossTerm.Parse(text, new())).Message, said);

    [TestMethod]
    public void Each_takes_the_options_that_it_reads_and_none_is_idle()
    {
        var options = new LossOptions { Delta = 2, LabelSmoothing = 0.1 };
        IReadOnlyList<LossTerm> terms = LossTerm.ParseAll(["huber:a", "cross-entropy:b", "mse:c"], options);
        Assert.AreEqual((2.0, 0.0), (terms[0].Options.Delta, terms[0].Options.LabelSmoothing));
        Assert.AreEqual((1.0, 0.1), (terms[1].Options.Delta, terms[1].Options.LabelSmoothing));
        Assert.IsTrue(terms[2].Options.IsDefault);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => LossTerm.ParseAll(["mse:a", "mae:b"], options)).Message, "None of the losses mse, mae reads --label-smoothing");
    }

    [TestMethod]
    public void A_scored_term_has_a_name_and_can_be_asked_for_again()
    {
        ScoredTerm term = new("contrastive", ["a", "b"], null, "loss_a") { Field = "f", Weight = 0.5, Options = new() { Temperature = 0.1 } };
        Assert.AreEqual(("a+b", 1, "0.5 · contrastive over 'a', 'b'"), (term.Name, term.Rows, term.ToString()));
        Assert.AreEqual(2, (term with { Outputs = ["a"] }).Rows, "one output holds both sides, row by row");
        Assert.AreEqual(("contrastive", "f", 0.5, 0.1), (term.Asked.Loss, term.Asked.Field, term.Asked.Weight, term.Asked.Options.Temperature));
    }
}
