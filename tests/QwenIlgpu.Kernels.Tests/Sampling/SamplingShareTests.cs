namespace QwenIlgpu.Kernels.Tests;

/// <summary>What the shares of the sampling kernels promise beside the definition: no number of threads shows in a row.</summary>
internal sealed class SamplingShareTests : KernelTests
{
    private static SamplingTier Tier => SamplingTier.Named("shares");

    [SetUp]
    public void NeedsTheCpu() => Assume.That(TestDevice.Kind, Is.EqualTo("cpu"), "shares are for the CPU");

    [TestCase(1, 5)]
    [TestCase(97, 4)]
    [TestCase(2048, 7)]
    [TestCase(5003, 1)]
    public void EveryNumberOfThreadsGivesTheSameBits(int vocabulary, int rowCount)
    {
        var random = new Random(vocabulary);
        SamplingReferenceRow[] rows = [.. Enumerable.Range(0, rowCount).Select(_ => Reporting(SamplingRandomRow.Of(random, vocabulary)))];
        var alone = new SamplingBatch(Tier, rows);
        int[][] expected = [.. Enumerable.Range(0, 5).Select(_ => alone.StepInParts(1))];

        foreach (int threads in new[] { 2, 3, 7, 40 })
        {
            var batch = new SamplingBatch(Tier, rows);
            Assert.That(Enumerable.Range(0, 5).Select(_ => batch.StepInParts(threads)), Is.EqualTo(expected), $"{threads} threads");
            Assert.That(batch.Cutoffs, Is.EqualTo(alone.Cutoffs));
            Assert.That(batch.TopIds, Is.EqualTo(alone.TopIds));
            Assert.That(batch.TopLogProbs, Is.EqualTo(alone.TopLogProbs));
            Assert.That(batch.DrawnLogProbs, Is.EqualTo(alone.DrawnLogProbs));
        }
    }

    // Scores that are exact in float: the plain loops rank and cut to the bit alike.
    [TestCase(300)]
    [TestCase(5003)]
    public void RankAsThePlainLoopsDo(int vocabulary)
    {
        var random = new Random(vocabulary);
        SamplingReferenceRow[] rows =
        [
            .. Enumerable.Range(0, 40).Select(_ => SamplingRandomRow.Of(random, vocabulary)).Select((r, i) => i % 2 == 0
                ? r with { Parameters = r.Parameters with { Temperature = 0 } }
                : r with { Parameters = r.Parameters with { Temperature = 1, TopK = 1 + i, TopP = 1 } }),
        ];
        var plain = new SamplingBatch(SamplingTier.Named("portable"), rows);
        var shares = new SamplingBatch(Tier, rows);

        Assert.That(shares.Step(), Is.EqualTo(plain.Step()));
        Assert.That(shares.Cutoffs, Is.EqualTo(plain.Cutoffs));
    }

    // Cuts that lie far enough from a token's bound for the float masses of both.
    [TestCase(0.5f)]
    [TestCase(0.95f)]
    [TestCase(0.999f)]
    public void CutTheNucleusAndDrawAsThePlainLoopsDo(float topP)
    {
        const int Vocabulary = 248_320;
        var plain = new SlotParameters { Temperature = 1, TopP = topP, SeedLow = 3 };
        float[] normal = SamplingRandomRow.Normal(new Random(9), Vocabulary, 3);
        float[] peaked = [.. normal];
        peaked[200_000] = 40;
        SamplingReferenceRow[] rows =
        [
            .. new[] { 0, 0.001f }.SelectMany(minP => new[]
            {
                new float[Vocabulary],
                peaked,
                normal,
                [.. normal.Select(x => MathF.Round(x * 8) / 8)],       // thousands of equals at the cut
                [.. normal.Select(x => x * 1e-30f)],                    // not equal, but for the masses
            }.Select(logits => new SamplingReferenceRow(logits, plain with { MinP = minP }))),
        ];
        int[] drawIndex = [.. Enumerable.Range(0, rows.Length)];
        var loops = new SamplingBatch(SamplingTier.Named("portable"), rows, drawIndex);
        var shares = new SamplingBatch(Tier, rows, drawIndex);

        for (int step = 0; step < 3; step++)
            Assert.That(shares.Step(), Is.EqualTo(loops.Step()));
        Assert.That(shares.Cutoffs, Is.EqualTo(loops.Cutoffs));
    }

    // What a share with a wrong index would take: bias, mask or history of the vector beside.
    [TestCase(20)]
    [TestCase(0)]
    public void NoticesAnOperandOfTheVectorBeside(int topK)
    {
        var random = new Random(4);
        SamplingReferenceRow row = SamplingRandomRow.Of(random, 2048) with
        {
            Parameters = new SlotParameters { Temperature = 1, TopK = topK, TopP = 0.95f, RepetitionPenalty = 1.3f, PresencePenalty = 1, Flags = 7 },
        };
        double[] scores = SamplingReference.Scores(row);
        foreach ((string fault, SamplingReferenceRow bent) in new[]
        {
            ("bias", row with { Bias = [.. row.Bias![16..], .. row.Bias[..16]] }),
            ("mask", row with { Allowed = [.. row.Allowed![16..], .. row.Allowed[..16]] }),
            ("history", row with { Generated = [.. row.Generated![16..], .. row.Generated[..16]] }),
        })
        {
            var batch = new SamplingBatch(Tier, [bent]);
            batch.Step();
            float cutoff = RankedToken.Score(batch.Cutoffs[0]);
            Assert.That(scores.Count(s => s > cutoff - 1e-5), Is.Not.EqualTo(SamplingReference.Kept(row).Length), fault);
        }
    }

    private static SamplingReferenceRow Reporting(SamplingReferenceRow row) => row with
    {
        Parameters = row.Parameters with { Flags = row.Parameters.Flags | SlotParameters.HasLogProbs, TopLogProbs = 7 },
    };
}
