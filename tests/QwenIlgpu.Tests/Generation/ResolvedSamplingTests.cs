using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

internal sealed class ResolvedSamplingTests
{
    private const int Vocabulary = 100;
    private const int IdWithoutToken = 50;

    private static readonly GenerationDefaults ModelDefaults = new(DoSample: true, Temperature: 1, TopK: 20, TopP: 0.95f);

    [Test]
    public void NothingSaidIsGreedyWithoutEffects()
    {
        SlotParameters parameters = Resolve(null, null).ToSlotParameters();

        Assert.That(parameters,
            Is.EqualTo(new SlotParameters { TopP = 1, RepetitionPenalty = 1, SeedLow = 0x9abcdef0, SeedHigh = 0x12345678 }));
    }

    [Test]
    public void GenerationConfigComesBeforeGreedy()
    {
        ResolvedSampling resolved = Resolve(new SamplingOptions(), ModelDefaults with { MinP = 0.1f, RepetitionPenalty = 1.2f });

        Assert.That(
            (resolved.Temperature, resolved.TopK, resolved.TopP, resolved.MinP, resolved.RepetitionPenalty),
            Is.EqualTo((1f, 20, 0.95f, 0.1f, 1.2f)));
    }

    [Test]
    public void PresetComesBeforeGenerationConfig()
    {
        ResolvedSampling resolved = Resolve(new SamplingOptions { Preset = SamplingPreset.NonThinking },
            ModelDefaults with { MinP = 0.1f });

        Assert.That(
            (resolved.Temperature, resolved.TopK, resolved.TopP, resolved.MinP, resolved.PresencePenalty, resolved.RepetitionPenalty),
            Is.EqualTo((0.7f, 20, 0.8f, 0f, 1.5f, 1f)));
    }

    [Test]
    public void ExplicitOptionComesBeforePreset()
    {
        ResolvedSampling resolved = Resolve(
            new SamplingOptions { Preset = SamplingPreset.NonThinking, Temperature = 0, TopK = 0, PresencePenalty = 0 }, ModelDefaults);

        Assert.That(
            (resolved.Temperature, resolved.TopK, resolved.TopP, resolved.PresencePenalty), Is.EqualTo((0f, 0, 0.8f, 0f)));
    }

    [TestCase(false, 0.6f, 0f)]
    [TestCase(true, null, 1f)]
    [TestCase(null, 0.6f, 0.6f)]
    [TestCase(null, null, 0f)]
    public void DoSampleDecidesWhatTheConfigurationMeans(bool? doSample, float? temperature, float expected) =>
        Assert.That(Resolve(null, new GenerationDefaults(doSample, temperature)).Temperature, Is.EqualTo(expected));

    [Test]
    public void GreedyConfigurationYieldsToAnOption() =>
        Assert.That(Resolve(new SamplingOptions { Temperature = 0.5f },
            new GenerationDefaults(DoSample: false)).Temperature, Is.EqualTo(0.5f));

    [Test]
    public void SeedIsDrawnOnlyIfUnset()
    {
        ResolvedSampling given = ResolvedSampling.Resolve(
            new SamplingOptions { Seed = 0 }, null, Vocabulary, static _ => true, () => throw new InvalidOperationException());

        Assert.That(given.Seed, Is.Zero);
        Assert.That(Resolve(null, null).Seed, Is.EqualTo(0x123456789abcdef0UL));
    }

    [Test]
    public void FlagsSayWhatTheSlotHolds()
    {
        var options = new SamplingOptions
        {
            LogitBias = new Dictionary<int, float> { [3] = float.NegativeInfinity },
            AllowedTokenIds = [0, 99],
            FrequencyPenalty = -2,
            TopLogProbs = 0,
        };

        SlotParameters parameters = Resolve(options, null).ToSlotParameters();

        Assert.That(
            parameters.Flags,
            Is.EqualTo(SlotParameters.HasBias | SlotParameters.HasMask | SlotParameters.HasPenalties | SlotParameters.HasLogProbs));
        Assert.That(Resolve(new SamplingOptions { LogitBias = new Dictionary<int, float>() }, null).ToSlotParameters().Flags, Is.Zero);
    }

    [Test]
    public void LimitsAreTheKernels() => Assert.That(
        (SamplingOptions.MaxTopK, SamplingOptions.MaxTopLogProbs), Is.EqualTo((SlotParameters.MaxTopK, SlotParameters.MaxTopLogProbs)));

    private static IEnumerable<TestCaseData> Invalid()
    {
        static TestCaseData Case(SamplingOptions options, string message) => new TestCaseData(options, message).SetArgDisplayNames(message);
        yield return Case(new() { Temperature = -1 }, "Temperature is -1; it must be a number of at least 0 (0 is greedy)");
        yield return Case(new() { Temperature = float.NaN }, "Temperature is NaN; it must be a number of at least 0 (0 is greedy)");
        yield return Case(new() { Temperature = float.PositiveInfinity },
            "Temperature is Infinity; it must be a number of at least 0 (0 is greedy)");
        yield return Case(new() { TopK = -1 }, "TopK is -1; it must be from 0 (off) to 1024");
        yield return Case(new() { TopK = 1025 }, "TopK is 1025; it must be from 0 (off) to 1024");
        yield return Case(new() { TopP = 0 }, "TopP is 0; it must be above 0 and at most 1 (off)");
        yield return Case(new() { TopP = 1.5f }, "TopP is 1.5; it must be above 0 and at most 1 (off)");
        yield return Case(new() { MinP = -0.1f }, "MinP is -0.1; it must be from 0 (off) to 1");
        yield return Case(new() { RepetitionPenalty = 0 }, "RepetitionPenalty is 0; it must be a number above 0 (1 is off)");
        yield return Case(new() { FrequencyPenalty = 2.5f }, "FrequencyPenalty is 2.5; it must be from -2 to 2 (0 is off)");
        yield return Case(new() { PresencePenalty = -3 }, "PresencePenalty is -3; it must be from -2 to 2 (0 is off)");
        yield return Case(new() { TopLogProbs = 21 }, "TopLogProbs is 21; it must be from 0 to 20");
        yield return Case(
            new() { LogitBias = new Dictionary<int, float> { [100] = 1 } },
                "LogitBias names token 100; the vocabulary has ids from 0 to 99");
        yield return Case(
            new() { LogitBias = new Dictionary<int, float> { [7] = float.PositiveInfinity } },
            "LogitBias of token 7 is Infinity; it must be finite, or -Infinity to forbid the token");
        yield return Case(
            new() { LogitBias = new Dictionary<int, float> { [IdWithoutToken] = 1 } }, "LogitBias names token 50; no token has this id");
        yield return Case(new() { AllowedTokenIds = [1, IdWithoutToken] }, "AllowedTokenIds names token 50; no token has this id");
        yield return Case(new() { AllowedTokenIds = [] }, "AllowedTokenIds is empty; it must hold at least one token id, or be unset");
        yield return Case(new() { AllowedTokenIds = [1, -1] }, "AllowedTokenIds names token -1; the vocabulary has ids from 0 to 99");
    }

    [TestCaseSource(nameof(Invalid))]
    public void RejectsNamingOptionValueAndRange(SamplingOptions options, string message)
    {
        ArgumentException error = Assert.Catch<ArgumentException>(() => Resolve(options, null))!;

        Assert.That(error.Message, Is.EqualTo(message));
    }

    [Test]
    public void RejectsBadConfigurationByItsName()
    {
        ArgumentException error = Assert.Catch<ArgumentException>(() => Resolve(null, ModelDefaults with { TopP = 2 }))!;

        Assert.That(error.Message, Is.EqualTo("TopP is 2 in generation_config.json; it must be above 0 and at most 1 (off)"));
    }

    [Test]
    public void PresetsAreFoundByName()
    {
        Assert.That(SamplingPreset.All.Select(p => SamplingPreset.Named(p.Name)), Is.EqualTo(SamplingPreset.All));
        Assert.That(
            SamplingPreset.All.Select(p => (p.Name, p.Options.Temperature, p.Options.TopP)),
            Is.EqualTo(new (string, float?, float?)[] { ("thinking", 1, 0.95f), ("coding", 0.6f, 0.95f), ("non-thinking", 0.7f, 0.8f) }));
        ArgumentException error = Assert.Throws<ArgumentException>(() => SamplingPreset.Named("fast"))!;
        Assert.That(error.Message, Is.EqualTo("sampling preset 'fast' is unknown; there are thinking, coding, non-thinking"));
    }

    private static ResolvedSampling Resolve(SamplingOptions? options, GenerationDefaults? defaults) =>
        ResolvedSampling.Resolve(options, defaults, Vocabulary, static id => id != IdWithoutToken, () => 0x123456789abcdef0UL);
}
