using System.Text.Json.Nodes;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

internal sealed class ResolvedSamplingTests
{
    private const int Vocabulary = 100;
    private const int IdWithoutToken = 50;

    private const string ModelDefaults = """{"do_sample": true, "temperature": 1.0, "top_k": 20, "top_p": 0.95}""";

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
        ResolvedSampling resolved = Resolve(new SamplingOptions(), With("min_p", "0.1", "repetition_penalty", "1.2"));

        Assert.That(
            (resolved.Temperature, resolved.TopK, resolved.TopP, resolved.MinP, resolved.RepetitionPenalty),
            Is.EqualTo((1f, 20, 0.95f, 0.1f, 1.2f)));
    }

    [Test]
    public void PresetComesBeforeGenerationConfig()
    {
        ResolvedSampling resolved = Resolve(new SamplingOptions { Preset = SamplingPreset.NonThinking },
            With("min_p", "0.1"));

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
    public void DoSampleDecidesWhatTheConfigurationMeans(bool? doSample, float? temperature, float expected)
    {
        var json = new JsonObject { ["do_sample"] = doSample, ["temperature"] = temperature };
        Assert.That(Resolve(null, json.ToJsonString()).Temperature, Is.EqualTo(expected));
    }

    [Test]
    public void GreedyConfigurationYieldsToAnOption() =>
        Assert.That(Resolve(new SamplingOptions { Temperature = 0.5f },
            """{"do_sample": false}""").Temperature, Is.EqualTo(0.5f));

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

        Assert.That(error.Message, Is.EqualTo($"{message} (Parameter 'options')"));
    }

    [TestCase("top_p", "2", "top_p is 2, must be above 0 and at most 1 (off)")]
    [TestCase("top_p", "0.0", "top_p is 0.0, must be above 0 and at most 1 (off)")]
    [TestCase("top_k", "-2", "top_k is -2, must be from 0 (off) to 1024")]
    [TestCase("top_k", "2.5", "top_k is 2.5, must be from 0 (off) to 1024")]
    [TestCase("top_k", "\"20\"", "top_k is \"20\", must be from 0 (off) to 1024")]
    [TestCase("temperature", "-1", "temperature is -1, must be a number of at least 0 (0 is greedy)")]
    [TestCase("temperature", "\"hot\"", "temperature is \"hot\", must be a number of at least 0 (0 is greedy)")]
    [TestCase("temperature", "1e999", "temperature is 1e999, must be a number of at least 0 (0 is greedy)")]
    [TestCase("min_p", "[]", "min_p is [], must be from 0 (off) to 1")]
    [TestCase("presence_penalty", "5", "presence_penalty is 5, must be from -2 to 2 (0 is off)")]
    [TestCase("repetition_penalty", "0", "repetition_penalty is 0, must be a number above 0 (1 is off)")]
    [TestCase("do_sample", "1", "do_sample is 1, must be true or false")]
    public void ABadConfigurationStopsOnlyWhatUsesIt(string key, string value, string fault)
    {
        string config = With(key, value);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => Resolve(null, config))!;
        Assert.That(error.Message, Does.Contain($"generation_config.json: {fault}"));

        List<string> notices = [];
        Assert.That(Resolve(new SamplingOptions { Temperature = 0 }, config, notices).HasPenalties, Is.False);
        Assert.That(notices, key.EndsWith("penalty", StringComparison.Ordinal) ? Has.One.Contains(fault) : Is.Empty);

        var everything = new SamplingOptions { Preset = SamplingPreset.NonThinking, FrequencyPenalty = 0 };
        Assert.That(Resolve(everything, config).Temperature, Is.EqualTo(0.7f));
    }

    [TestCase("-1", 0, 0)]
    [TestCase("0", 0, 0)]
    [TestCase("20.0", 20, 0)]
    [TestCase("1024", 1024, 0)]
    [TestCase("1025", 0, 1)]
    [TestCase("100000", 0, 1)]
    [TestCase("null", 0, 0)]
    public void TopKOfAConfigurationIsReadAsOthersWriteIt(string value, int expected, int noticeCount)
    {
        List<string> notices = [];
        Assert.That(Resolve(null, With("top_k", value), notices).TopK, Is.EqualTo(expected));
        Assert.That(notices, Has.Exactly(noticeCount).Items.And.All.EndsWith("must be from 0 (off) to 1024: it is left out"));
    }

    [Test]
    public void UnknownKeysOfAConfigurationAreNotRead() =>
        Assert.That(Resolve(null, With("do_simple", "[[]]")).TopP, Is.EqualTo(0.95f));

    [Test]
    public void AGoodPenaltyOfTheConfigurationHoldsForGreedyToo() =>
        Assert.That(Resolve(new SamplingOptions { Temperature = 0 }, With("presence_penalty", "1.5")).PresencePenalty, Is.EqualTo(1.5f));

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

    // The model's defaults with more members, or others, each with its JSON.
    private static string With(params string[] members)
    {
        JsonObject json = JsonNode.Parse(ModelDefaults)!.AsObject();
        string text = json.ToJsonString();
        for (int i = 0; i < members.Length; i += 2)
        {
            json.Remove(members[i]);
            text = $"{json.ToJsonString()[..^1]},\"{members[i]}\":{members[i + 1]}}}";
            if (i + 2 < members.Length)
                json = JsonNode.Parse(text)!.AsObject();
        }

        return text;
    }

    private static ResolvedSampling Resolve(SamplingOptions? options, string? defaults, List<string>? notices = null)
    {
        GenerationConfig? config = defaults is null ? null : TokenizationData.WithDirectory(
            directory => GenerationConfig.Load(directory, notice => notices?.Add(notice)), ("generation_config.json", defaults));
        return ResolvedSampling.Resolve(options, config, Vocabulary, static id => id != IdWithoutToken, () => 0x123456789abcdef0UL);
    }
}
