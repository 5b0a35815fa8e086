using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What sampling promises, one promise a test; the exact cuts are in <see cref="SamplingDefinitionTests"/>.</summary>
[SamplingTiers]
internal sealed class SamplingTests(string tierName) : KernelTests
{
    private static readonly SlotParameters Greedy = new() { TopP = 1, RepetitionPenalty = 1 };
    private static readonly SlotParameters Plain = Greedy with { Temperature = 1 };

    private SamplingTier Tier => SamplingTier.Named(tierName);

    [TearDown]
    public void ReleaseTierBuffers() => WarpDevice.ReleaseBuffers();

    [Test]
    public void GreedyTakesTheLowestIdOfEquals() => Assert.That(DrawOne(Row(Greedy, 1, 3, 2, 3, 3)), Is.EqualTo(1));

    [Test]
    public void GreedyHonoursPenaltiesBiasAndMask()
    {
        SamplingReferenceRow row = Row(Greedy with { Flags = 7, RepetitionPenalty = 2, PresencePenalty = 1 }, 5, 4, 3, 2.5f, 1) with
        {
            InPrompt = [true, false, false, false, false],      // 5 / 2 = 2.5
            Generated = [0, 1, 0, 0, 0],                        // 4 / 2 − 1 = 1
            Bias = [0, 0, 0, 0, 1.75f],                         // 1 + 1.75 = 2.75, the best that is allowed
            Allowed = [true, true, false, true, true],
        };

        Assert.That(DrawOne(row), Is.EqualTo(4));
    }

    [Test]
    public void ZeroParametersMeanGreedy() => Assert.That(DrawOne(Row(default, 1, 2, 5, 4)), Is.EqualTo(2));

    [Test]
    public void KeepsEverythingByDefault() => Assert.That(Drawn(Row(Plain, 0, 0.5f, 0, 1)), Is.EquivalentTo(new[] { 0, 1, 2, 3 }));

    [Test]
    public void TopKKeepsLowerIdsOfEquals() =>
        Assert.That(Drawn(Row(Plain with { TopK = 3 }, 0, 1, 2, 1, 1)), Is.EquivalentTo(new[] { 1, 2, 3 }));

    [Test]
    public void TopPKeepsLowerIdsOfEquals() =>
        Assert.That(Drawn(Row(Plain with { TopP = 0.5f }, 0, 0, 0, 0, 0)), Is.EquivalentTo(new[] { 0, 1, 2 }));

    [TestCase(0)]
    [TestCase(8)]
    public void TopPKeepsAtLeastOne(int topK) =>
        Assert.That(Drawn(Row(Plain with { TopP = 1e-9f, TopK = topK }, 0, 1, 2)), Is.EquivalentTo(new[] { 2 }));

    [Test]
    public void MinPOfOneKeepsTheBestAndItsEquals() =>
        Assert.That(Drawn(Row(Plain with { MinP = 1 }, 0, 2, 2, 1)), Is.EquivalentTo(new[] { 1, 2 }));

    [Test]
    public void TheTwoZerosAreEqual() => Assert.That(DrawOne(Row(Plain with { TopK = 1 }, -0f, 0f)), Is.EqualTo(0));

    // Swapped, the penalised token would have (2 − 1.5) / 2 = 0.25 instead of 2 / 2 − 1.5 = −0.5, and win over 0.
    [Test]
    public void RepetitionPrecedesPresence()
    {
        SamplingReferenceRow row = Row(
            Greedy with { Flags = SlotParameters.HasPenalties, RepetitionPenalty = 2, PresencePenalty = 1.5f }, 2, 0);

        Assert.That(DrawOne(row with { InPrompt = new bool[2], Generated = [1, 0] }), Is.EqualTo(1));
    }

    // Swapped, the penalised token would have 4 · −1 + 3 = −1 instead of (−1 + 3) / 4 = 0.5, and lose to 0.
    [Test]
    public void BiasPrecedesRepetition()
    {
        SamplingReferenceRow row = Row(
            Greedy with { Flags = SlotParameters.HasPenalties | SlotParameters.HasBias, RepetitionPenalty = 4 }, -1, 0);

        Assert.That(DrawOne(row with { Bias = [3, 0], InPrompt = [true, false], Generated = new int[2] }), Is.EqualTo(0));
    }

    // Relative probability exp(−1 / 0.5) = 0.14; swapped, exp(−1) = 0.37 would pass.
    [Test]
    public void PenaltiesPrecedeTemperature()
    {
        SamplingReferenceRow row = Row(
            Plain with { Flags = SlotParameters.HasPenalties, PresencePenalty = 1, Temperature = 0.5f, MinP = 0.2f }, 0, 0);

        Assert.That(Drawn(row with { InPrompt = new bool[2], Generated = [0, 1] }), Is.EquivalentTo(new[] { 0 }));
    }

    // Relative probability exp(−2 / 2) = 0.37; swapped, exp(−2) = 0.14 would not pass.
    [Test]
    public void TemperaturePrecedesMinP() =>
        Assert.That(Drawn(Row(Plain with { Temperature = 2, MinP = 0.2f }, 0, -2)), Is.EquivalentTo(new[] { 0, 1 }));

    // After the other cut the best holds 0.4 / 0.7 = 0.57 and is enough; before it, 0.4 is not.
    [TestCase(2, 0)]
    [TestCase(0, 0.6f)]
    [TestCase(4, 0.6f)]
    public void TopPTakesItsShareOfWhatMinPAndTopKLeave(int topK, float minP)
    {
        SlotParameters parameters = Plain with { TopP = 0.55f, TopK = topK, MinP = minP };

        Assert.That(
            Drawn(Row(parameters, MathF.Log(0.4f), MathF.Log(0.3f), MathF.Log(0.2f), MathF.Log(0.1f))), Is.EquivalentTo(new[] { 0 }));
    }

    [Test]
    public void RepetitionCountsPromptAndOutput_FrequencyAndPresenceOutputOnly()
    {
        SlotParameters repetition = Greedy with { Flags = SlotParameters.HasPenalties, RepetitionPenalty = 2 };
        SlotParameters frequency = Greedy with { Flags = SlotParameters.HasPenalties, FrequencyPenalty = 1 };
        SlotParameters presence = Greedy with { Flags = SlotParameters.HasPenalties, PresencePenalty = 1 };
        SamplingReferenceRow[] rows =
        [
            .. new[] { repetition, frequency, presence }.Select(p => Row(p, 4, 3.9f, 3.2f, 2.5f) with
            {
                InPrompt = [true, false, true, false],
                Generated = [0, 1, 2, 0],
            }),
        ];

        // repetition: 2, 1.95, 1.6, 2.5; frequency: 4, 2.9, 1.2, 2.5; presence: 4, 2.9, 2.2, 2.5
        Assert.That(new SamplingBatch(Tier, rows).Step(), Is.EqualTo(new[] { 3, 0, 0 }));
    }

    [Test]
    public void CountsWhatItDraws()
    {
        SamplingReferenceRow row = Row(Greedy with { Flags = SlotParameters.HasPenalties, FrequencyPenalty = 1 }, 2.5f, 2.25f, 0);
        var batch = new SamplingBatch(Tier, [row with { InPrompt = [false, true, false], Generated = new int[3] }]);

        int[] drawn = [.. Enumerable.Range(0, 5).Select(_ => batch.Step()[0])];

        Assert.That(drawn, Is.EqualTo(new[] { 0, 1, 0, 1, 0 }));
        Assert.That(batch.Seen(1), Is.EqualTo(new[] { 3, 2 | SamplingSlots.InPrompt, 0 }));
        Assert.That(batch.DrawIndex, Is.EqualTo(new[] { 0, 5 }));
    }

    // In the first, a middle and the last place of the blocks and sections of each tier, forbidden to the row or not: only masks forbid.
    [TestCase(0, 0, 1f)]
    [TestCase(1, 0, 1f)]
    [TestCase(1, 3, 0.9f)]
    [TestCase(1, 0, 0.9f)]
    public void ARowWithANonFiniteLogitDrawsNothingAndSaysSo(float temperature, int topK, float topP)
    {
        const int Vocabulary = 4099;
        var logProbs = new SlotParameters
        {
            Temperature = temperature, TopK = topK, TopP = topP, Flags = SlotParameters.HasMask | SlotParameters.HasLogProbs, TopLogProbs = 2,
        };
        bool[] evenIds = [.. Enumerable.Range(0, Vocabulary).Select(id => id % 2 == 0)];
        int[] places = [0, 1, 255, 2047, 2048, 2777, Vocabulary - 1];
        float[] values = [float.NaN, float.PositiveInfinity, float.NegativeInfinity];
        SamplingReferenceRow[] rows =
        [
            .. places.SelectMany(place => values.Select((value, v) =>
            {
                float[] logits = Seeded.Floats(place + v, Vocabulary, 9);
                logits[place] = value;
                return new SamplingReferenceRow(logits, v == 1 ? logProbs with { Flags = 0 } : logProbs, Allowed: evenIds);
            })),
        ];
        var healthy = new SamplingReferenceRow(Seeded.Floats(5, Vocabulary, 9), logProbs, Allowed: evenIds);

        int[] drawn = new SamplingBatch(Tier, [healthy, .. rows, healthy]).Step();

        Assert.That(drawn[1..^1], Has.All.EqualTo(DrawnId.NonFinite));
        Assert.That(new[] { drawn[0], drawn[^1] }, Has.All.GreaterThanOrEqualTo(0), "rows beside it");
    }

    [TestCase(0, 0, 1f)]
    [TestCase(1, 0, 1f)]
    [TestCase(1, 3, 1f)]
    [TestCase(1, 0, 0.9f)]
    public void AScoreThatOverflowsIsDrawnAndNothingIsMarked(float temperature, int topK, float topP)
    {
        SlotParameters parameters = Plain with { Temperature = temperature, TopK = topK, TopP = topP };
        SamplingReferenceRow[] rows =
        [
            Row(parameters with { Flags = SlotParameters.HasBias }, 1, 3e38f, 3e38f, 0) with { Bias = [0, 3e38f, 3e38f, 0] },
            Row(parameters with { Flags = SlotParameters.HasMask }, 1, 2, 3, 4) with { Allowed = new bool[4] },
            Row(parameters with { Flags = SlotParameters.HasBias }, 1, -3e38f, 0, 4) with { Bias = [.. Enumerable.Repeat(float.NegativeInfinity, 4)] },
        ];

        Assert.That(new SamplingBatch(Tier, rows).Step(), Is.EqualTo(new[] { 1, DrawnId.Nothing, DrawnId.Nothing }));
    }

    [Test]
    public void PaddingRowsLeaveSlotZeroAlone()
    {
        SamplingReferenceRow row = Row(Greedy, 1, 2);
        var batch = new SamplingBatch(Tier, [row, row, row], slotOfRow: [0, 1, 0]);

        Assert.That(batch.Step(), Is.EqualTo(new[] { 1, 1, 1 }));
        Assert.That(batch.DrawIndex, Is.EqualTo(new[] { 0, 1 }));
    }

    [Test]
    public void DependsOnNeitherSlotNorBatch()
    {
        var random = new Random(77);
        SamplingReferenceRow[] rows = [.. Enumerable.Range(0, 12).Select(_ => SamplingRandomRow.Of(random, 300))];
        var together = new SamplingBatch(Tier, rows, slotOfRow: [.. Enumerable.Range(0, 12).Select(i => 12 - i)]);
        int[][] steps = [.. Enumerable.Range(0, 6).Select(_ => together.Step())];

        for (int r = 0; r < rows.Length; r++)
        {
            var alone = new SamplingBatch(Tier, [rows[r]], slotOfRow: [3]);
            Assert.That(Enumerable.Range(0, 6).Select(_ => alone.Step()[0]), Is.EqualTo(steps.Select(s => s[r])));
        }
    }

    [Test]
    [Category(MachineFixtures.Slow)]
    public void FrequenciesFollowTheDistribution()
    {
        const int Draws = 2000;
        SamplingReferenceRow row = Row(
            Plain with { Temperature = 1.3f, TopK = 9, TopP = 0.97f, SeedLow = 123, SeedHigh = 456 }, Seeded.Floats(3, 16, 2));
        SamplingReferenceRow[] rows = [.. Enumerable.Repeat(row, 50)];
        var batch = new SamplingBatch(Tier, rows, [.. Enumerable.Range(0, rows.Length).Select(i => i * 1000)]);
        var counts = new int[16];
        for (int step = 0; step < Draws / rows.Length; step++)
        {
            foreach (int id in batch.Step())
                counts[id]++;
        }

        (int Id, double Probability)[] kept = SamplingReference.Kept(row);
        double chiSquare = kept.Sum(t => Math.Pow(counts[t.Id] - (Draws * t.Probability), 2) / (Draws * t.Probability));
        Assert.That(kept, Has.Length.GreaterThan(5));
        Assert.That(kept.Sum(t => counts[t.Id]), Is.EqualTo(Draws));
        Assert.That(chiSquare, Is.LessThan(20.1));      // 99 % quantile for 8 degrees of freedom
    }

    [Test]
    public void RejectsSlotsOfAnotherVocabulary()
    {
        SamplingSlots slots = SamplingSlots.In(Tier.Device.Poisoned<byte>(SamplingSlots.SizeInBytes(2, 7)), 2, 7);
        SamplingScratch scratch = SamplingScratch.In(Tier.Device.Poisoned<byte>(SamplingScratch.SizeInBytes(1)), 1);
        var logProbs = new LogProbs(Tier.Device.Poisoned<float>(1), Tier.Device.Poisoned<int>(1, 20), Tier.Device.Poisoned<float>(1, 20));
        ArrayView<int> one = Tier.Device.Upload(1);

        ArgumentException error = Assert.Throws<ArgumentException>(
            () => Sampling.Bind(Tier.Loader, Tier.Device.Poisoned<float>(1, 8), 8, one, slots, scratch, one, logProbs))!;

        Assert.That(error.Message, Is.EqualTo("sampling: vocabulary of slots is 7, vocabulary size is 8"));
    }

    private static SamplingReferenceRow Row(SlotParameters parameters, params float[] logits) => new(logits, parameters);

    private int DrawOne(SamplingReferenceRow row) => new SamplingBatch(Tier, [row]).Step()[0];

    /// <summary>Every token that shows up in 128 draws.</summary>
    private HashSet<int> Drawn(SamplingReferenceRow row) => [.. DrawnFrom(row, 0), .. DrawnFrom(row, 64)];

    private int[] DrawnFrom(SamplingReferenceRow row, int drawIndex) =>
        new SamplingBatch(Tier, [.. Enumerable.Repeat(row, 64)], [.. Enumerable.Range(drawIndex, 64)]).Step();
}
