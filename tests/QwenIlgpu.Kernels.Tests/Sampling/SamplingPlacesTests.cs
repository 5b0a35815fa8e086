namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Rows that come to every place of a row's memory: each of a thread's tokens, each section of a vocabulary, each digit of a cut among more
/// tokens than a list holds. The definition decides; what a place holds decides the row.
/// </summary>
[SamplingTiers]
internal sealed class SamplingPlacesTests(string tierName) : KernelTests
{
    private const int SectionTokens = VocabularySections.Length;
    private const int ThreadTokens = SectionTokens / GroupScan.Threads;

    private SamplingTier Tier => SamplingTier.Named(tierName);

    [TearDown]
    public void ReleaseTierBuffers() => WarpDevice.ReleaseBuffers();

    // In row j, three tokens among each thread's j-th would lead by far, were it not for bias, penalty and mask.
    [TestCase(0, 0, 1)]
    [TestCase(1, 0, 1)]
    [TestCase(1, 0, 0.5f)]
    [TestCase(1, 20, 1)]
    public void AdjustsEachTokenOfAThread(float temperature, int topK, float topP)
    {
        const int Vocabulary = SectionTokens + 3;
        var parameters = new SlotParameters
        {
            Temperature = temperature, TopK = topK, TopP = topP, RepetitionPenalty = 1, PresencePenalty = 20, SeedLow = 3,
            Flags = SlotParameters.HasBias | SlotParameters.HasPenalties | SlotParameters.HasMask,
        };
        SamplingReferenceRow[] rows = [.. Enumerable.Range(0, ThreadTokens).Select(j =>
        {
            float[] logits = Seeded.Floats(j, Vocabulary, 4);
            var bias = new float[Vocabulary];
            bool[] allowed = [.. Enumerable.Repeat(true, Vocabulary)];
            var generated = new int[Vocabulary];
            int leader = (GroupScan.Threads * j) + (19 * j);
            logits.AsSpan(leader, 3).Fill(9);
            bias[leader] = -20;
            generated[leader + 1] = 1;
            allowed[leader + 2] = false;
            return new SamplingReferenceRow(logits, parameters, bias, allowed, new bool[Vocabulary], generated);
        })];

        SamplingDefinitionTests.CheckBatch(Tier, rows);
    }

    // Scores so near the best that one bucket of the ranking holds them all; multiples of 2^-20, which adjust without rounding.
    [TestCase(20, 1)]
    [TestCase(1024, 1)]
    [TestCase(1024, 0.5f)]
    [TestCase(0, 0.3f)]
    [TestCase(0, 0.9f)]
    public void CutsAmongMoreThanAListHolds(int topK, float topP)
    {
        const int Vocabulary = 2600;
        const float Step = 1f / (1 << 20);
        uint[] flags = [0, SlotParameters.HasBias | SlotParameters.HasPenalties | SlotParameters.HasMask];
        var random = new Random(topK);
        SamplingReferenceRow[] rows = [.. flags.Select(f => new SamplingReferenceRow(
            Steps(400, 3),
            new SlotParameters
            {
                Temperature = 1, TopK = topK, TopP = topP, RepetitionPenalty = 1, FrequencyPenalty = 30 * Step, PresencePenalty = 50 * Step,
                SeedLow = 8, Flags = f,
            },
            Steps(200, 0),
            [.. Enumerable.Range(0, Vocabulary).Select(_ => random.Next(10) > 0)],
            [.. Enumerable.Range(0, Vocabulary).Select(_ => random.Next(10) == 0)],
            [.. Enumerable.Range(0, Vocabulary).Select(_ => Math.Max(0, random.Next(8) - 4))]))];

        SamplingDefinitionTests.CheckBatch(Tier, rows);

        float[] Steps(int most, float above) => [.. Enumerable.Range(0, Vocabulary).Select(_ => above + (random.Next(most) * Step))];
    }

    // Of eighteen sections the first and the sixteenth and seventeenth hold what counts.
    [TestCase(0, 0, 1, 0)]
    [TestCase(1, 0, 1, 0)]
    [TestCase(1, 0, 1, 0.01f)]
    [TestCase(1, 0, 0.7f, 0)]
    [TestCase(1, 100, 0.9f, 0)]
    public void DrawsFromEverySection(float temperature, int topK, float topP, float minP)
    {
        const int Vocabulary = (17 * SectionTokens) + 5;
        var parameters = new SlotParameters { Temperature = temperature, TopK = topK, TopP = topP, MinP = minP, SeedLow = 2 };
        float[] logits = [.. Seeded.Floats(topK + 5, Vocabulary, 2).Select((x, i) => (i / SectionTokens) is 0 or 15 or 16 ? x : x - 12)];
        logits[(15 * SectionTokens) + 700] = 5;

        SamplingDefinitionTests.CheckBatch(Tier, [.. Enumerable.Repeat(new SamplingReferenceRow(logits, parameters), 4)]);
    }

    // As many tokens as fit the list, one more, and one more than a power of two.
    [TestCase(RankedList.Capacity, 0, 0.5f)]
    [TestCase(RankedList.Capacity, 1024, 0.5f)]
    [TestCase(RankedList.Capacity + 1, 0, 0.7f)]
    [TestCase(RankedList.Capacity + 1, 1024, 1)]
    [TestCase(1025, 1000, 0.9f)]
    public void ListsAsManyAsThereIsRoomFor(int vocabulary, int topK, float topP) => SamplingDefinitionTests.CheckBatch(
        Tier, [new(new float[vocabulary], new SlotParameters { Temperature = 1, TopK = topK, TopP = topP, SeedLow = 7 })]);

    // More than a list holds, at distances from the best of 30 to 124: beyond 64 only the order tells them apart, and at a temperature of 1
    // no mass is left of any.
    [TestCase(1, 5, 1)]
    [TestCase(1, 1024, 1)]
    [TestCase(20, 0, 0.9f)]
    public void RanksWhatIsFarBehind(float temperature, int topK, float topP)
    {
        float[] logits = [.. Enumerable.Range(0, 3000).Select(i => i == 700 ? 30 : -i * 0.03125f)];

        SamplingDefinitionTests.CheckBatch(Tier, [new(logits, new SlotParameters { Temperature = temperature, TopK = topK, TopP = topP, SeedLow = 9 })]);
    }

    [TestCase(0, 0)]
    [TestCase(1, 0)]
    [TestCase(1, 3)]
    public void TheLargestVocabularyEndsWithItsBest(float temperature, int topK)
    {
        const int Vocabulary = SampleTask.MostTokens - 1;
        var logits = new float[Vocabulary];
        (logits[^1], logits[230 * SectionTokens]) = (40, 39);
        var parameters = new SlotParameters { Temperature = temperature, TopK = topK, TopP = 1, SeedLow = 4 };
        if (temperature == 0)
        {
            SamplingDefinitionTests.CheckBatch(Tier, [new(logits, parameters)]);
            return;
        }

        SlotParameters reporting = parameters with { Flags = SlotParameters.HasLogProbs, TopLogProbs = 2 };
        SamplingBatch batch = SamplingDefinitionTests.CheckBatch(Tier, [new(logits, reporting), new(logits, reporting with { SeedLow = 5 })]);

        double[] expected = SamplingReference.LogProbs(logits);
        int[] ids = batch.TopIds[..2];
        Assert.That(ids, Is.EqualTo(new[] { Vocabulary - 1, 230 * SectionTokens }));
        AssertClose(batch.TopLogProbs[..2], [.. ids.Select(id => expected[id])], 4e-6);         // the last place of 40.3
    }
}
