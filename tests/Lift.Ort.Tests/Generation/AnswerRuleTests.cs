using Lift.Ort.Data;
using Lift.Ort.Generation;

namespace Lift.Ort.Tests.Generation;

[TestClass]
public sealed class AnswerRuleTests
{
    [TestMethod]
    [DataRow("so 1,200 + 34 = 1,234. The answer is 1,234.", "1234", true)]
    [DataRow("It is -7.5 degrees", "-7.5", true)]
    [DataRow("3 and then 4", "3", false)]
    [DataRow("The answer is 0.3333", "0.3330", true)]
    [DataRow("The answer is 0.3350", "0.3330", false)]
    [DataRow("The answer is 9.", "9.0", true)]
    [DataRow("none at all", "9", false)]
    public void The_last_number_counts_to_a_thousandth(string output, string gold, bool right)
    {
        Assert.AreEqual("numbers", AnswerRule.For(gold));
        Assert.AreEqual(right, AnswerRule.IsRight("numbers", AnswerRule.Extract("numbers", output, PromptTemplate.Clean), gold));
    }

    [TestMethod]
    [DataRow("Because B is wrong, the answer is (D).", "B", "D")]
    [DataRow("Either A or C", "E", "C")] // the paper's rule takes the E of "Either"
    [DataRow("the answer is A. No: the answer is: C", "A", "C")]
    [DataRow("An apple", "A", null)]
    [DataRow("nothing", null, null)]
    public void Letters_are_read_as_published_or_as_named(string output, string? paper, string? clean)
    {
        Assert.AreEqual("letter", AnswerRule.For("D"));
        Assert.AreEqual(paper, AnswerRule.Extract("letter", output, PromptTemplate.Paper));
        Assert.AreEqual(clean, AnswerRule.Extract("letter", output, PromptTemplate.Clean));
        Assert.AreEqual(clean == "C", AnswerRule.IsRight("letter", clean, "C"));
    }

    [TestMethod]
    [DataRow("the correct answer is True", "true", true)]
    [DataRow("Solution2, not solution1", "solution2", true)]
    [DataRow("the correct answer is answer3", "answer4", false)]
    [DataRow("ending4", "ending4", true)]
    [DataRow("I cannot say", "option1", false)]
    public void Commonsense_takes_the_first_choice_named(string output, string gold, bool right)
    {
        Assert.AreEqual("commonsense", AnswerRule.For(gold));
        Assert.AreEqual(right, AnswerRule.IsRight("commonsense", AnswerRule.Extract("commonsense", output, PromptTemplate.Clean), gold));
    }

    [TestMethod]
    public void Any_other_text_must_be_equal_but_for_space_around_it()
    {
        Assert.AreEqual("text", AnswerRule.For("Paris, France"));
        Assert.IsTrue(AnswerRule.IsRight("text", AnswerRule.Extract("text", " Paris\n", PromptTemplate.Clean), "Paris"));
        Assert.IsFalse(AnswerRule.IsRight("text", AnswerRule.Extract("text", "Paris!", PromptTemplate.Clean), "Paris"));
    }
}
