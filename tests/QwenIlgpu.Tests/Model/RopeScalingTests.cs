using System.Globalization;
using System.Text.Json.Nodes;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary>YaRN as configurations spell it and as callers ask for it, and a model that runs with it.</summary>
[NonParallelizable]
internal sealed class RopeScalingTests
{
    // As in OtherShapesTests.
    private const double Tolerance = 5e-4;

    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    // The draft's context is 512. Without an original context the factor stretches that.
    [TestCase("""{"rope_type":"yarn","factor":4}""", 512, 2048)]
    [TestCase("""{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":256}""", 256, 1024)]
    [TestCase("""{"type":"yarn","factor":2.5,"original_max_position_embeddings":333}""", 333, 832)]
    [TestCase("""{"type":"yarn","factor":2,"original_max_position_embeddings":256,"mrope_section":[11,11,10],"mrope_interleaved":true}""", 256, 512)]
    [TestCase("""{"type":"mrope","rope_type":"yarn","factor":1}""", 512, 512)]
    public void StretchesTheContext(string scaling, int original, int positions)
    {
        QwenConfig config = Read(Scaled(scaling));
        Assert.That((config.Yarn!.OriginalPositions, config.MaxPositionEmbeddings), Is.EqualTo((original, positions)));
        Assert.That((config.RopeTheta, config.RotaryDim, notices.Count), Is.EqualTo((1e7, 4, 0)));
    }

    [TestCase("", 1.1386294361, 32, 1, true)]
    [TestCase(""","attention_factor":1.5,"mscale":2,"mscale_all_dim":1""", 1.5, 32, 1, true)]
    [TestCase(""","mscale":2,"mscale_all_dim":1""", 1.2772588722 / 1.1386294361, 32, 1, true)]
    [TestCase(""","mscale":0.707,"mscale_all_dim":0.707""", 1, 32, 1, true)]
    [TestCase(""","mscale":2,"mscale_all_dim":0""", 1.1386294361, 32, 1, true)]
    [TestCase(""","beta_fast":16,"beta_slow":2,"truncate":false""", 1.1386294361, 16, 2, false)]
    public void ReadsTheFineValues(string values, double attention, double betaFast, double betaSlow, bool truncate)
    {
        YarnScaling yarn = Read(Scaled($$"""{"rope_type":"yarn","factor":4{{values}}}""")).Yarn!;
        Assert.That(yarn.AttentionFactor, Is.EqualTo(attention).Within(1e-9));
        Assert.That((yarn.BetaFast, yarn.BetaSlow, yarn.Truncate), Is.EqualTo((betaFast, betaSlow, truncate)));
    }

    [TestCase("null")]
    [TestCase("{}")]
    [TestCase("""{"rope_type":"default"}""")]
    [TestCase("""{"type":"default","factor":4}""")]
    [TestCase("""{"type":"mrope","mrope_section":[11,11,10]}""")]
    public void OtherSpellingsOfNoScaling(string scaling)
    {
        QwenConfig config = Read(Scaled(scaling));
        Assert.That((config.Yarn, config.MaxPositionEmbeddings, notices.Count), Is.EqualTo(((YarnScaling?)null, 512, 0)));
    }

    // Some writers keep both sections.
    [Test]
    public void ValuesMayBeGivenTwiceIfTheyAgree()
    {
        CheckpointDraft draft = Scaled("""{"type":"yarn","factor":4,"rope_theta":10000000}""");
        draft.Text["rope_parameters"] = JsonNode.Parse("""{"rope_type":"yarn","factor":4,"rope_theta":10000000,"partial_rotary_factor":0.25}""");
        Assert.That(Read(draft).Yarn, Is.EqualTo(new YarnScaling(4, 512)));

        draft.Text["rope_parameters"]!["factor"] = 2;
        Assert.That(() => Read(draft), Throws.TypeOf<InvalidDataException>().With.Message.EndsWith(
            "text_config.rope_parameters.factor is 2, but text_config.rope_scaling.factor is 4"));
        draft.Text["rope_parameters"]!["rope_type"] = "default";
        Assert.That(() => Read(draft), Throws.TypeOf<InvalidDataException>().With.Message.EndsWith(
            "text_config.rope_parameters.rope_type is default, but text_config.rope_scaling.type is yarn"));
    }

    [TestCase("""{"rope_type":"yarn"}""", "rope_scaling.factor is missing")]
    [TestCase("""{"rope_type":"yarn","factor":0.5}""", "factor is 0.5, must be from 1 to 1024")]
    [TestCase("""{"rope_type":"yarn","factor":"4"}""", "rope_scaling.factor is \"4\", must be a finite number")]
    [TestCase("""{"rope_type":"yarn","factor":4,"original_max_position_embeddings":0}""", "original_max_position_embeddings is 0, must be from 1")]
    [TestCase("""{"rope_type":"yarn","factor":4,"original_max_position_embeddings":7.5}""", "original_max_position_embeddings is 7.5, must be a whole number")]
    [TestCase("""{"rope_type":"yarn","factor":4,"original_max_position_embeddings":2000000000}""", "YaRN makes a context of 8000000000 tokens")]
    [TestCase("""{"rope_type":"yarn","factor":4,"attention_factor":-1}""", "attention_factor is -1, must be from")]
    [TestCase("""{"rope_type":"yarn","factor":4,"beta_fast":1,"beta_slow":2}""", "beta_slow is 2, must be at most beta_fast, 1")]
    [TestCase("""{"rope_type":"yarn","factor":4,"truncate":1}""", "rope_scaling.truncate is 1, must be true or false")]
    public void RejectsBadValues(string scaling, string fault) =>
        Assert.That(() => Read(Scaled(scaling)), Throws.TypeOf<InvalidDataException>().With.Message.Contains(fault));

    [TestCase("""{"rope_type":"yarn","factor":1.5,"original_max_position_embeddings":64}""", "max_position_embeddings is 512, YaRN makes 96 of 64; 512 counts")]
    [TestCase("""{"rope_type":"yarn","factor":4,"attn_factor":2}""", "text_config.rope_scaling.attn_factor is not known, and is left out")]
    public void TellsOfWhatDoesNotCount(string scaling, string notice)
    {
        _ = Read(Scaled(scaling));
        Assert.That(notices, Has.One.EndsWith(notice));
    }

    [TestCase(null, "yarn,factor=2", 512, 1024, null)]
    [TestCase(null, "yarn,factor=2,original=128", 128, 512, "YaRN makes 256 of 128; 512 counts")]
    [TestCase("""{"rope_type":"yarn","factor":2}""", "yarn,factor=2", 512, 1024, null)]
    [TestCase("""{"rope_type":"yarn","factor":2,"original_max_position_embeddings":256}""", "yarn,factor=4", 256, 1024, "rope_type is \"yarn\" with other values; yarn,factor=4 was asked for, and counts")]
    [TestCase("""{"rope_type":"yarn","factor":4,"beta_fast":16}""", "yarn,factor=4", 512, 2048, "with other values; yarn,factor=4 was asked for, and counts")]
    [TestCase("""{"rope_type":"yarn","factor":"no"}""", "yarn,factor=4,original=512", 512, 2048, "with other values; yarn,factor=4,original=512 was asked for, and counts")]
    [TestCase("""{"type":"linear","factor":4}""", "yarn,factor=4", 512, 2048, "rope_scaling.type is \"linear\"; yarn,factor=4 was asked for, and counts")]
    public void WhatIsAskedForCountsBeforeTheFile(string? scaling, string asked, int original, int positions, string? notice)
    {
        RopeScaling ropeScaling = RopeScaling.Parse(asked);
        QwenConfig config = Read(Scaled(scaling ?? "null"), ropeScaling);
        Assert.That(config.Yarn, Is.EqualTo(new YarnScaling(ropeScaling.Factor, original)));
        Assert.That(config.MaxPositionEmbeddings, Is.EqualTo(positions));
        if (notice is null)
            Assert.That(notices, Is.Empty);
        else
            Assert.That(notices, Has.Count.EqualTo(1).And.All.EndsWith(notice));
    }

    [TestCase("yarn,factor=4", 4, null)]
    [TestCase("yarn,factor=1", 1, null)]
    [TestCase("yarn,factor=2.5,original=32768", 2.5, 32768)]
    public void ReadsWhatItWrites(string text, double factor, int? original)
    {
        RopeScaling scaling = RopeScaling.Parse(text);
        Assert.That(scaling, Is.EqualTo(RopeScaling.Yarn(factor, original)));
        Assert.That(scaling.ToString(), Is.EqualTo(text));
    }

    [TestCase("")]
    [TestCase("yarn")]
    [TestCase("linear,factor=4")]
    [TestCase("yarn,factor=")]
    [TestCase("yarn,factor=0.5")]
    [TestCase("yarn,factor=1025")]
    [TestCase("yarn,factor=-4")]
    [TestCase("yarn,factor=4,")]
    [TestCase("yarn, factor=4")]
    [TestCase("yarn,factor=4,original=0")]
    [TestCase("yarn,factor=4,original=1.5")]
    [TestCase("yarn,original=4,factor=4")]
    [TestCase("yarn,factor=4,original=4,original=4")]
    public void RefusesOtherTexts(string text)
    {
        Assert.That(RopeScaling.TryParse(text, out _), Is.False);
        Assert.That(
            Assert.Throws<FormatException>(() => RopeScaling.Parse(text))!.Message,
            Is.EqualTo($"rope scaling is '{text}'; it must be yarn,factor=N or yarn,factor=N,original=TOKENS, with N from 1 to 1024 and TOKENS at least 1"));
    }

    [Test]
    public void RefusesValuesOutOfRange()
    {
        Assert.That(() => RopeScaling.Yarn(0.5), Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("factor"));
        Assert.That(() => RopeScaling.Yarn(double.NaN), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => RopeScaling.Yarn(2, 0), Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("originalContextTokens"));
    }

    // The random checkpoints are made for 512 tokens: the last rows of this prompt lie beyond.
    [Test]
    public async Task AModelRunsBeyondItsContext()
    {
        var shape = new RandomShape("F", 32, 32, 1, 1, 32, 16, 1, 1, 32, 32, Tied: true, TensorType.F32, "model.", Vocab: 2048);
        using var checkpoint = new RandomCheckpoint(shape, seed: 61);
        RopeScaling scaling = RopeScaling.Yarn(4);
        await using QwenModel model = await QwenModel.LoadAsync(checkpoint.Path, new ModelOptions { Device = TestModels.Device, RopeScaling = scaling });
        Assert.That(model.MaxContextTokens, Is.EqualTo(2048));
        using var sequences = new SequenceRunner(model, maxSequences: 1, contextTokens: 576);
        var random = new Random(5);
        int[] ids = [.. Enumerable.Range(0, 530).Select(_ => random.Next(2048))];

        float[] logits = [.. sequences.Prefill(ids[..528], chunkTokens: 512), .. sequences.Decode(ids[528..], firstPosition: 528)];

        double[][] expected = new ReferenceForward(shape, checkpoint.Stored, yarnFactor: 4, originalPositions: 512).Run(ids);
        double worst = logits.Zip(expected.SelectMany(e => e), (a, e) => Math.Abs(a - e)).Max();
        TestContext.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"max |Δlogit| = {worst:E2}"));
        Assert.That(worst, Is.LessThanOrEqualTo(Tolerance));
        double[] plain = new ReferenceForward(shape, checkpoint.Stored).Run(ids[..40])[^1];
        Assert.That(plain.Zip(expected[39], (a, e) => Math.Abs(a - e)).Max(), Is.GreaterThan(10 * Tolerance), "YaRN changes nothing");
    }

    private readonly List<string> notices = [];

    private static CheckpointDraft Scaled(string scaling)
    {
        CheckpointDraft draft = new();
        draft.Text["rope_parameters"] = null;
        draft.Text["rope_theta"] = 10000000;
        draft.Text["rope_scaling"] = JsonNode.Parse(scaling);
        return draft;
    }

    private QwenConfig Read(CheckpointDraft draft, RopeScaling? asked = null)
    {
        notices.Clear();
        draft.WriteConfig(directory);
        return QwenConfigReader.Read(JsonSection.Load(directory.File("config.json")), notices, asked);
    }
}
