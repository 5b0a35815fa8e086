using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

[SamplingTiers]
internal sealed class SamplingLogProbsTests(string tierName) : KernelTests
{
    // A float logit less a double logarithm whose argument was rounded to float: about 1e-6 at magnitude 10.
    private const double Tolerance = 3e-6;

    private SamplingTier Tier => SamplingTier.Named(tierName);

    [TearDown]
    public void ReleaseTierBuffers() => WarpDevice.ReleaseBuffers();

    [TestCase(1, 0)]
    [TestCase(13, 20)]
    [TestCase(2048, 5)]
    [TestCase(32_771, 5)]
    [TestCase(248_077, 20)]
    public void AreTheModelsOwn(int vocabulary, int top)
    {
        // Bias and temperature change what is drawn and must not change what is reported.
        var parameters = new SlotParameters
        {
            Temperature = 2, TopP = 1, Flags = SlotParameters.HasLogProbs | SlotParameters.HasBias, TopLogProbs = top,
        };
        float[] logits = Seeded.Floats(vocabulary, vocabulary, 9);
        var batch = new SamplingBatch(Tier, [new SamplingReferenceRow(logits, parameters, Bias: Seeded.Floats(1, vocabulary, 3))]);

        int id = batch.Step()[0];

        double[] expected = SamplingReference.LogProbs(logits);
        int[] ranking = [.. Enumerable.Range(0, vocabulary).OrderByDescending(i => logits[i]).ThenBy(i => i).Take(top)];
        Assert.That(batch.DrawnLogProbs[0], Is.EqualTo(expected[id]).Within(Tolerance));
        Assert.That(batch.TopIds[..ranking.Length], Is.EqualTo(ranking));
        AssertClose(batch.TopLogProbs[..ranking.Length], [.. ranking.Select(i => expected[i])], Tolerance);
        Assert.That(batch.TopIds[ranking.Length..top], Has.All.EqualTo(-1));
    }

    [Test]
    public void AreOnlyForRowsThatAsk()
    {
        var silent = new SlotParameters();
        SlotParameters asking = silent with { Flags = SlotParameters.HasLogProbs };
        float[] logits = [0, 0, float.MinValue];
        var batch = new SamplingBatch(Tier, [new(logits, silent), new(logits, asking)]);

        batch.Step();

        Assert.That(batch.DrawnLogProbs[0], Is.NaN);
        Assert.That(batch.DrawnLogProbs[1], Is.EqualTo(-Math.Log(2)).Within(Tolerance));
        Assert.That(batch.TopIds, Has.All.EqualTo(-1), "as poisoned");
    }
}
