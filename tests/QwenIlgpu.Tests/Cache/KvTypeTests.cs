using System.IO.Compression;

namespace QwenIlgpu.Tests;

/// <summary>What the types of cache have in common, and what those with fewer bits cost the built-in model.</summary>
[NonParallelizable]
internal sealed class KvTypeTests
{
    private const int WindowTokens = 512;

    private static readonly KvType[] Quantized = [KvType.Int8, KvType.K8V4, KvType.Int4];

    private static readonly Lazy<int[]> HeldOut = new(() =>
    {
        using var file = new GZipStream(File.OpenRead(Path.Combine(TestData.Golden, "heldout.txt.gz")), CompressionMode.Decompress);
        return TestModels.Tiny.Tokenizer.Encode(new StreamReader(file).ReadToEnd(), parseSpecial: true);
    });

    /// <summary>Token ids of a text that the built-in model has not seen.</summary>
    internal static int[] HeldOutIds => HeldOut.Value;

    // Prefill in one piece, in pieces and token by token: the same codes and the same sums.
    [TestCaseSource(nameof(Quantized))]
    public void PrefillInPiecesAndDecodeHaveTheBitsOfThePromptInOnePiece(KvType kvType)
    {
        int[] ids = HeldOut.Value[..150];
        using var sequences = new SequenceRunner(TestModels.Tiny, kvType, options: new StepRunnerOptions(DeltaForm: DeltaPrefillForm.Recurrent));

        float[] whole = sequences.Prefill(ids, slot: 1);

        Assert.That(whole, Has.None.NaN);
        Assert.That(sequences.Prefill(ids, chunkTokens: 64, slot: 2), Is.EqualTo(whole));
        Assert.That(sequences.Decode(ids, slot: 3), Is.EqualTo(whole));
    }

    [TestCaseSource(nameof(Quantized))]
    public void SequencesThatShareAStepAreEachAlone(KvType kvType)
    {
        using var sequences = new SequenceRunner(TestModels.Tiny, kvType);
        int[] ids = HeldOut.Value[..200];
        for (int slot = 1; slot <= 3; slot++)
            sequences.Prefill(ids[..(slot * 60)], slot: slot);

        BoundStep step = sequences.Runner.Run(
            StepKind.Decode,
            [.. Enumerable.Range(1, 3).Select(slot => new StepSequence(slot, slot * 60, ids.AsMemory(slot * 60, 1), LogitsWanted.Last))], samples: false);
        float[] together = sequences.Runner.ReadLogits(step);

        for (int slot = 1; slot <= 3; slot++)
        {
            float[] alone = sequences.Prefill(ids[..(slot * 60)], slot: 4);
            Assert.That(alone, Has.None.NaN);
            Assert.That(
                sequences.Row(together, slot - 1), Is.EqualTo(sequences.Decode([ids[slot * 60]], slot: 4, firstPosition: slot * 60)), $"slot {slot}");
        }
    }

    // Of the perplexity over bf16 pages. The bound of the mean divergence is a few times what was measured: 3e-7, 1.0e-5 and 2.8e-5 nats.
    [TestCase(KvType.Int8, 0.001, 2e-6, 8)]
    [TestCase(KvType.K8V4, 0.003, 5e-5, 8)]
    [TestCase(KvType.Int4, 0.01, 1e-4, 8)]
    [TestCase(KvType.Int8, 0.001, 2e-6, 27, Category = "Exhaustive")]
    [TestCase(KvType.K8V4, 0.003, 5e-5, 27, Category = "Exhaustive")]
    [TestCase(KvType.Int4, 0.01, 1e-4, 27, Category = "Exhaustive")]
    public void HeldOutPerplexityStaysWhatItIsOverBf16Pages(KvType kvType, double perplexityShare, double divergenceNats, int windows)
    {
        using var reference = new SequenceRunner(TestModels.Tiny, KvType.Bf16, maxSequences: 1);
        using var quantized = new SequenceRunner(TestModels.Tiny, kvType, maxSequences: 1);
        double referenceLoss = 0;
        double loss = 0;
        double divergence = 0;
        int count = 0;
        foreach (int[] window in HeldOut.Value.Chunk(WindowTokens).Take(windows))
        {
            float[] expected = reference.Prefill(window);
            float[] actual = quantized.Prefill(window);
            for (int i = 0; i + 1 < window.Length; i++)
            {
                double[] p = LogProbabilities(reference.Row(expected, i));
                double[] q = LogProbabilities(quantized.Row(actual, i));
                referenceLoss -= p[window[i + 1]];
                loss -= q[window[i + 1]];
                divergence += p.Zip(q, (a, b) => Math.Exp(a) * (a - b)).Sum();
                count++;
            }
        }

        double share = Math.Exp((loss - referenceLoss) / count) - 1;
        TestContext.Out.WriteLine(
            $"{kvType}: perplexity {Math.Exp(loss / count):F4} for {Math.Exp(referenceLoss / count):F4} ({share:+0.000%;-0.000%}), mean KL {divergence / count:E2}");
        Assert.That(Math.Abs(share), Is.LessThanOrEqualTo(perplexityShare));
        Assert.That(divergence / count, Is.LessThanOrEqualTo(divergenceNats).And.GreaterThan(0));
    }

    private static double[] LogProbabilities(float[] logits)
    {
        double max = logits.Max();
        double sum = max + Math.Log(logits.Sum(x => Math.Exp(x - max)));
        return Array.ConvertAll(logits, x => x - sum);
    }
}
