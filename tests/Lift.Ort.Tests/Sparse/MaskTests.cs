using Lift.Ort.Sparse;

namespace Lift.Ort.Tests.Sparse;

[TestClass]
public sealed class MaskTests
{
    [TestMethod]
    public void The_union_is_that_of_sets()
    {
        var random = new Random(1);
        for (int round = 0; round < 200; round++)
        {
            int count = random.Next(1, 60);
            int[] Some() => [.. Enumerable.Range(0, count).Where(_ => random.Next(3) == 0)];
            Mask a = new("w", [count], Some()), b = new("w", [count], Some());
            CollectionAssert.AreEqual(a.Positions!.Union(b.Positions!).Order().ToArray(), a.Union(b).Positions, $"{string.Join(' ', a.Positions!)} with {string.Join(' ', b.Positions!)}");
        }
    }

    [TestMethod]
    public void The_union_is_one_of_the_two_where_it_can_be()
    {
        Mask full = new("w", [9], null), some = new("w", [9], [1, 4, 8]), fewer = new("w", [9], [4]), none = new("w", [9], []);
        Assert.AreSame(full, full.Union(some));
        Assert.AreSame(full, some.Union(full));
        Assert.AreSame(some, some.Union(fewer));
        Assert.AreSame(some, fewer.Union(some));
        Assert.AreSame(some, some.Union(none));
        CollectionAssert.AreEqual(new[] { 0, 1, 4, 8 }, some.Union(new Mask("w", [9], [0, 8])).Positions);
        CollectionAssert.AreEqual(new[] { int.MaxValue - 1 }, new Mask("w", [int.MaxValue], []).Union(new Mask("w", [int.MaxValue], [int.MaxValue - 1])).Positions);
    }
}
