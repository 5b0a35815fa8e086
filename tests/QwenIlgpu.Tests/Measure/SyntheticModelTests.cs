using QwenIlgpu.Cli.Bench;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests;

/// <summary>Shapes and random weights of `qwen bench --synthetic`.</summary>
internal sealed class SyntheticModelTests
{
    // Published totals; what is not the text model: the MTP layer, and a vision tower of so many layers, widths and outputs.
    [TestCase("27b", 27_781_427_952, 27, 1152, 4304)]
    [TestCase("9b", 9_653_104_368, 27, 1152, 4304)]
    [TestCase("4b", 4_659_865_088, 24, 1024, 4096)]
    [TestCase("0.8b", 873_438_784, 12, 768, 3072)]
    public void ShapesHaveTheirPublishedParameterCounts(string name, long total, int visionDepth, int visionWidth, int visionInner)
    {
        QwenConfig config = SyntheticShape.Of(name);

        Assert.That(config.CountParameters() + MtpParameters(config) + VisionParameters(visionDepth, visionWidth, visionInner, config.HiddenSize), Is.EqualTo(total));
    }

    [Test]
    public void TextModelOf27BHasTheSpecifiedParts()
    {
        ParameterCounts counts = SyntheticShape.Of("27b").Parameters;

        Assert.That(counts.Total, Is.EqualTo(26_895_998_464));
        Assert.That((counts.FeedForward, counts.Attention, counts.Embedding, counts.LmHead), Is.EqualTo((17_112_760_320L, 1_677_721_600L, 1_271_398_400L, 1_271_398_400L)));
        Assert.That((counts.DeltaNet, counts.Rest), Is.EqualTo((5_536_481_280L + 23_592_960L, 2_645_504L)));
    }

    [Test]
    public void RefusesAnUnknownShape() =>
        Assert.That(() => SyntheticShape.Of("7b"), Throws.ArgumentException.With.Message.Contains("\"7b\"").And.Message.Contains("27b, 9b, 4b, 0.8b"));

    [Test]
    public void ACutKeepsThreeDeltaNetsToOneAttention()
    {
        QwenConfig cut = SyntheticShape.Cut(SyntheticShape.Of("27b"), 8, 1000);

        Assert.That((cut.NumHiddenLayers, cut.NumFullAttentionLayers, cut.VocabSize), Is.EqualTo((8, 2, 1000)));
        Assert.That(cut.EosTokenIds, Is.All.LessThan(1000));
    }

    [TestCase(HeadQuantization.None)]
    [TestCase(HeadQuantization.Int8)]
    public async Task TheSameSeedGivesTheSameSaneLogits(HeadQuantization head)
    {
        (float[] prefill, float[] decode) = await LogitsAsync(head, seed: 1);

        Assert.That(SyntheticBench.DeviationOf(prefill, "prompt"), Is.InRange(1, 10));
        Assert.That(SyntheticBench.DeviationOf(decode, "decoded token"), Is.InRange(1, 10));
        (float[] again, _) = await LogitsAsync(head, seed: 1);
        Assert.That(again, Is.EqualTo(prefill));
        (float[] other, _) = await LogitsAsync(head, seed: 2);
        Assert.That(other.Zip(prefill).Count(p => p.First == p.Second), Is.LessThan(prefill.Length / 100));
    }

    [Test]
    public void LogitsThatAreNotSaneAreRefused()
    {
        Assert.That(() => SyntheticBench.DeviationOf([1, float.NaN, 2], "prompt"), Throws.InstanceOf<InvalidDataException>().With.Message.Contains("logit 1 of the prompt is NaN"));
        Assert.That(() => SyntheticBench.DeviationOf([1000, -1000], "prompt"), Throws.InstanceOf<InvalidDataException>().With.Message.Contains("1000"));
        Assert.That(() => SyntheticBench.DeviationOf([0, 0.1f], "prompt"), Throws.InstanceOf<InvalidDataException>().With.Message.Contains("0.05"));
    }

    [Test]
    public void HasNoTokenizer()
    {
        QwenConfig config = SyntheticShape.Cut(SyntheticShape.Of("0.8b"), 4, 256);

        Assert.That(
            async () =>
            {
                await using QwenModel model = SyntheticModel.CreateUnfilled("synthetic", config, ComputeDevice.OpenCpu(), HeadQuantization.None);
                model.Tokenize("text");
            },
            Throws.InstanceOf<NotSupportedException>().With.Message.Contains("no tokenizer"));
    }

    private static async Task<(float[] Prefill, float[] Decode)> LogitsAsync(HeadQuantization head, uint seed)
    {
        QwenConfig config = SyntheticShape.Cut(SyntheticShape.Of("0.8b"), 4, 1024);
        await using QwenModel model = SyntheticModel.Create("synthetic", config, ComputeDevice.Open(TestModels.Device, null, _ => { }), head, seed);
        using var bench = new StepBench(model, new EngineOptions(), 16, cudaGraphs: false);
        return bench.LogitsOf([3, 1, 4, 1, 5, 9, 2, 6]);
    }

    private static long MtpParameters(QwenConfig c)
    {
        long hidden = c.HiddenSize;
        return (2 * hidden * hidden) + (5 * hidden) + (hidden * ((3L * c.QueryWidth) + (2L * c.KeyValueWidth))) + (2L * c.HeadDim) + (3 * hidden * c.IntermediateSize);
    }

    // Patches of 3·2·16·16, 2304 positions, blocks with qkv, proj and two MLP layers, a merger of four patches; all with biases.
    private static long VisionParameters(long depth, long width, long inner, long outputs)
    {
        long block = (4 * width) + (3 * width * width) + (3 * width) + (width * width) + width + (2 * inner * width) + inner + width;
        long merger = (2 * width) + (16 * width * width) + (4 * width) + (4 * width * outputs) + outputs;
        return (1536 * width) + width + (2304 * width) + (depth * block) + merger;
    }
}
