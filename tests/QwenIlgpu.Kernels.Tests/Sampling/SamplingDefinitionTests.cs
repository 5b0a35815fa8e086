namespace QwenIlgpu.Kernels.Tests;

/// <summary>The kernels hold to the sort-based definition, whatever the options: the same tokens kept, the same one drawn.</summary>
[SamplingTiers]
internal sealed class SamplingDefinitionTests(string tierName) : KernelTests
{
    // Masses are float exponentials (relative error below 1e-6) in double sums: a cut may fall on either side of a bound that close.
    private const double Margin = 1e-6;

    private SamplingTier Tier => SamplingTier.Named(tierName);

    [TearDown]
    public void ReleaseTierBuffers() => WarpDevice.ReleaseBuffers();

    [TestCase(1, 24)]
    [TestCase(31, 24)]
    [TestCase(97, 64)]
    [TestCase(2048, 8)]
    [TestCase(5003, 4)]
    public void MatchesDefinition(int vocabulary, int batches)
    {
        const int Rows = 24;
        var random = new Random(vocabulary);
        int close = 0;
        for (int b = 0; b < batches; b++)
        {
            SamplingReferenceRow[] rows = [.. Enumerable.Range(0, Rows).Select(_ => SamplingRandomRow.Of(random, vocabulary))];
            int[] drawIndex = [.. rows.Select(_ => random.Next(100_000))];
            var batch = new SamplingBatch(Tier, rows, drawIndex);

            int[] ids = batch.Step();

            ulong[] cutoffs = batch.Cutoffs;
            for (int r = 0; r < Rows; r++)
                close += Check(rows[r], drawIndex[r], ids[r], cutoffs[r]) ? 0 : 1;
            Assert.That(batch.DrawIndex[1..], Is.EqualTo(drawIndex.Select(i => i + 1)));
            Tier.Device.Release();
        }

        Assert.That(close, Is.LessThanOrEqualTo(batches * Rows / 100), "rows decided by rounding");
    }

    // Many draws from one row find a mass that is wrong by a part in ten thousand.
    [TestCase(20, 1, 4)]
    [TestCase(1024, 1, 4)]
    [TestCase(20, 0.8f, 4)]
    [TestCase(0, 1, 4)]
    [TestCase(0, 0.95f, 4)]
    [TestCase(20, 1, 20, Category = "Exhaustive")]
    [TestCase(1024, 1, 20, Category = "Exhaustive")]
    [TestCase(20, 0.8f, 20, Category = "Exhaustive")]
    [TestCase(0, 1, 20, Category = "Exhaustive")]
    [TestCase(0, 0.95f, 20, Category = "Exhaustive")]
    public void DrawsByTheDefinitionAllOverTheDistribution(int topK, float topP, int steps)
    {
        const int Rows = 60;
        var parameters = new SlotParameters { Temperature = 1.5f, TopK = topK, TopP = topP, SeedLow = 7 };
        var row = new SamplingReferenceRow(Seeded.Floats(topK, 3001, 9), parameters);
        var batch = new SamplingBatch(Tier, [.. Enumerable.Repeat(row, Rows)], [.. Enumerable.Range(0, Rows).Select(i => 1000 * i)]);
        (int Id, double Probability)[] kept = SamplingReference.Kept(row);
        int close = 0;
        for (int step = 0; step < steps; step++)
        {
            int[] ids = batch.Step();
            for (int r = 0; r < Rows; r++)
                close += CheckDraw(row, kept, (1000 * r) + step, ids[r]) ? 0 : 1;
        }

        Assert.That(close, Is.LessThanOrEqualTo(Rows * steps / 100), "draws decided by rounding");
    }

    // A bucket of the cut with more tokens than the list holds: all of them alike, or so hot that they might as well be.
    [TestCase(1, 20, 1, 0)]
    [TestCase(1, 0, 0.3f, 0)]
    [TestCase(1, 1000, 0.5f, 0)]
    [TestCase(100, 0, 0.95f, 0.003f)]
    [TestCase(100, 1024, 0.95f, 0.003f)]
    public void MatchesDefinitionWhereAlmostAllAreAlike(float temperature, int topK, float topP, float scale)
    {
        var parameters = new SlotParameters { Temperature = temperature, TopK = topK, TopP = topP, SeedLow = 11 };
        var random = new Random(topK);
        float[] logits = [.. Enumerable.Range(0, 5003).Select(_ => random.Next(5) == 0 ? -1 : 3 - (random.NextSingle() * scale))];

        CheckBatch(Tier, [.. Enumerable.Repeat(new SamplingReferenceRow(logits, parameters), 8)]);
    }

    // One row of the real vocabulary for each way through the kernels.
    [TestCase(0, 0, 1, 0)]
    [TestCase(1, 20, 0.95f, 0)]
    [TestCase(0.7f, 1024, 0.8f, 0.001f)]
    [TestCase(1, 0, 1, 0)]
    [TestCase(1.5f, 0, 0.9f, 0, Category = MachineFixtures.Slow)]
    public void MatchesDefinitionOverTheRealVocabulary(float temperature, int topK, float topP, float minP)
    {
        const int Vocabulary = 248_077;
        var parameters = new SlotParameters
        {
            Temperature = temperature, TopK = topK, TopP = topP, MinP = minP, RepetitionPenalty = 1.1f, PresencePenalty = 1.5f, SeedLow = 5,
            Flags = SlotParameters.HasPenalties,
        };
        var random = new Random(topK);
        var row = new SamplingReferenceRow(
            Seeded.Floats(topK + 1, Vocabulary, 9),
            parameters,
            InPrompt: [.. Enumerable.Range(0, Vocabulary).Select(_ => random.Next(100) == 0)],
            Generated: [.. Enumerable.Range(0, Vocabulary).Select(_ => Math.Max(0, random.Next(100) - 97))]);

        CheckBatch(Tier, row);
    }

    [TestCase(0, 0.5f, 0, Category = MachineFixtures.Slow)]
    [TestCase(3, 0.5f, 0, Category = MachineFixtures.Slow)]
    [TestCase(3, 0.95f, 0, Category = MachineFixtures.Slow)]
    [TestCase(3, 0.95f, 0.001f)]
    [TestCase(3, 0.999f, 0, Category = MachineFixtures.Slow)]
    [TestCase(3, 0.999f, 0.00001f, Category = MachineFixtures.Slow)]
    [TestCase(30, 0.95f, 0, Category = MachineFixtures.Slow)]
    public void MatchesDefinitionOfANucleusOverTheRealVocabulary(float deviation, float topP, float minP)
    {
        const int Vocabulary = 248_320;
        float[] logits = SamplingRandomRow.Normal(new Random(2), Vocabulary, deviation);
        var row = new SamplingReferenceRow(logits, new SlotParameters { Temperature = 1, TopP = topP, MinP = minP, SeedLow = 6 });

        CheckBatch(Tier, row, row, row, row);
    }

    /// <summary>One step of a batch, row r at its draw r: what it keeps, what it draws, and what it leaves in the slots.</summary>
    internal static SamplingBatch CheckBatch(SamplingTier tier, params SamplingReferenceRow[] rows)
    {
        int[] drawIndex = [.. Enumerable.Range(0, rows.Length)];
        var batch = new SamplingBatch(tier, rows, drawIndex);

        int[] ids = batch.Step();

        Assert.That(batch.DrawIndex[1..], Is.EqualTo(drawIndex.Select(i => i + 1)));
        for (int r = 0; r < rows.Length; r++)
        {
            Assert.That(Check(rows[r], drawIndex[r], ids[r], batch.Cutoffs[r]), $"row {r} decided by rounding: choose another seed");
            if (rows[r].Parameters.Has(SlotParameters.HasPenalties))
                Assert.That(batch.Seen(r + 1)[ids[r]] & SamplingSlots.GeneratedCount, Is.EqualTo(rows[r].Generated![ids[r]] + 1), $"row {r}");
        }

        return batch;
    }

    /// <summary>False if rounding may decide this row either way and did so against the definition.</summary>
    internal static bool Check(SamplingReferenceRow row, int drawIndex, int id, ulong cutoff)
    {
        (int Id, double Probability)[] kept = SamplingReference.Kept(row);
        if (kept.Length == 0)
        {
            Assert.That((id, cutoff), Is.EqualTo((DrawnId.Nothing, RankedToken.None)));
            return true;
        }

        double[] scores = SamplingReference.Scores(row);
        int count = CountKept(scores, cutoff);
        if (count != kept.Length)
        {
            Assert.That(count, Is.InRange(Kept(row, 1 + Margin, 1 - Margin), Kept(row, 1 - Margin, 1 + Margin)), row.Parameters.Describe());
            return false;
        }

        return CheckDraw(row, kept, drawIndex, id);
    }

    private static bool CheckDraw(SamplingReferenceRow row, (int Id, double Probability)[] kept, int drawIndex, int id)
    {
        double uniform = Philox.Uniform(row.Parameters.SeedLow, row.Parameters.SeedHigh, drawIndex);
        if (id == SamplingReference.Draw(kept, uniform))
            return true;
        int low = SamplingReference.Draw(kept, uniform - Margin);
        int high = SamplingReference.Draw(kept, uniform + Margin);
        Assert.That(id, Is.EqualTo(low).Or.EqualTo(high), row.Parameters.Describe());
        return false;
    }

    /// <summary>
    /// How many tokens rank no later than the cutoff: by score, equal scores by id. Float scores stray from double ones by rounding.
    /// </summary>
    private static int CountKept(double[] scores, ulong cutoff)
    {
        int last = RankedToken.Id(cutoff);
        double score = last < scores.Length ? scores[last] : RankedToken.Score(cutoff);
        return scores.Where((s, i) => !double.IsNegativeInfinity(s) && (s > score || (s == score && i <= last))).Count();
    }

    private static int Kept(SamplingReferenceRow row, double minP, double topP)
    {
        SlotParameters parameters = row.Parameters;
        parameters.MinP = (float)(parameters.MinP * minP);
        parameters.TopP = (float)(parameters.TopP * topP);
        return SamplingReference.Kept(row with { Parameters = parameters }).Length;
    }
}

internal static class SlotParametersText
{
    public static string Describe(this SlotParameters p) => $"T {p.Temperature}, top-k {p.TopK}, top-p {p.TopP}, min-p {p.MinP}, "
        + $"penalties {p.RepetitionPenalty} {p.FrequencyPenalty} {p.PresencePenalty}, flags {p.Flags}, seed {p.SeedHigh:x8}{p.SeedLow:x8}";
}
