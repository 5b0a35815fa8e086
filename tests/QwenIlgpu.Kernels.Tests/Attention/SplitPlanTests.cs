namespace QwenIlgpu.Kernels.Tests;

internal sealed class SplitPlanTests
{
    [TestCase(1, 1, 2, 1)]
    [TestCase(128, 2, 2, 1)]
    [TestCase(129, 3, 2, 2)]
    [TestCase(1024, 16, 2, 8)]
    [TestCase(8192, 128, 2, 64)]
    [TestCase(8193, 129, 3, 43)]
    [TestCase(32_768, 512, 8, 64)]
    [TestCase(262_144, 4096, 64, 64)]
    public void FollowsTheLength(int length, int blocks, int splitBlocks, int splits)
    {
        var plan = new SplitPlan(length);

        Assert.That((plan.Blocks, plan.SplitBlocks, plan.Splits), Is.EqualTo((blocks, splitBlocks, splits)));
    }

    // Splits follow one another without a gap: the last one ends with the last block and has at least one.
    [Test]
    public void CoversEveryBlockOnceAtEveryLength()
    {
        for (int length = 1; length <= 262_144; length++)
        {
            var plan = new SplitPlan(length);
            bool holds = plan.Splits <= SplitPlan.MostOf(plan.Blocks) && plan.Splits <= SplitPlan.MostSplits
                && (plan.Splits - 1) * plan.SplitBlocks < plan.Blocks && plan.Splits * plan.SplitBlocks >= plan.Blocks
                && plan.Blocks * KvCache.PageTokens >= length && (plan.Blocks - 1) * KvCache.PageTokens < length;
            if (!holds)
                Assert.Fail($"length {length}: {plan.Splits} splits of {plan.SplitBlocks} in {plan.Blocks} blocks");
        }
    }

    // An H200 has 132, and Qwen3.6-27B four kv heads.
    [TestCase(131_072, 4)]
    [TestCase(8192, 4)]
    [TestCase(262_144, 4)]
    public void GivesEveryMultiprocessorAGroup(int length, int kvHeads) =>
        Assert.That(new SplitPlan(length).Splits * kvHeads, Is.GreaterThanOrEqualTo(132));

    [TestCase(1, 1, new[] { 1 })]
    [TestCase(8, 1, new[] { 8 })]
    [TestCase(43, 6, new[] { 8, 8, 8, 8, 8, 3 })]
    [TestCase(64, 8, new[] { 8, 8, 8, 8, 8, 8, 8, 8 })]
    public void SharesSplitsOutByEights(int splits, int eights, int[] members)
    {
        Assert.That(SplitPlan.Eights(splits), Is.EqualTo(eights));
        Assert.That(Enumerable.Range(0, eights).Select(e => SplitPlan.SplitsOf(e, splits)), Is.EqualTo(members));
    }
}
