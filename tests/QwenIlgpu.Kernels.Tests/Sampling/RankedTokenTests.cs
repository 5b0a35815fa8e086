namespace QwenIlgpu.Kernels.Tests;

internal sealed class RankedTokenTests
{
    [Test]
    public void OrdersByScoreThenLowerId()
    {
        float[] ascending = [-float.MaxValue, -1, -float.Epsilon, 0, float.Epsilon, 1, float.MaxValue, float.PositiveInfinity];
        ulong[] ranked = [.. ascending.SelectMany(s => new[] { RankedToken.Of(s, 9), RankedToken.Of(s, 0) })];

        Assert.That(ranked, Is.Ordered.And.Unique);
        Assert.That(ranked, Has.None.EqualTo(RankedToken.None));
        Assert.That(ranked.Where((_, i) => i % 2 == 0).Select(RankedToken.Score), Is.EqualTo(ascending));
        Assert.That(ranked.Select(RankedToken.Id), Is.EqualTo(ascending.SelectMany(_ => new[] { 9, 0 })));
        Assert.That(RankedToken.Of(-0f, 4), Is.EqualTo(RankedToken.Of(0f, 4)));
    }
}
