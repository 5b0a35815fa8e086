namespace QwenIlgpu.Tests;

/// <summary>Weights in FP8 and FP4 give the model that the same weights in F32 give.</summary>
[NonParallelizable]
internal sealed class LowFloatDialectTests
{
    // Weights are the same but for a rounding of 2^-24 where three numbers are multiplied, or a division is in them; sums are formed in
    // another order. Measured: 2e-5.
    private const double Bound = 2e-4;

    // Both of FP8's ways with scales and NVFP4 in one checkpoint, and floats in place of what no format holds.
    private static LowFloatDialect[] Quick { get; } = [LowFloatDialect.All[0], .. LowFloatDialect.All[^2..]];

    private static LowFloatDialect[] Others { get; } = [.. LowFloatDialect.All.Except(Quick)];

    private static readonly int[] Ids = [.. Enumerable.Range(0, 70).Select(i => 300 + (i * 37 % 1500))];

    [TestCaseSource(nameof(Quick))]
    [TestCaseSource(nameof(Others), Category = "Exhaustive")]
    public async Task LogitsAreThoseOfTheSameWeightsInF32(LowFloatDialect dialect)
    {
        (TinyCopy rounded, TinyCopy plain) = dialect.Write();
        using TinyCopy _ = rounded;
        using TinyCopy __ = plain;
        await using QwenModel expectedModel = TestModels.Load(plain.Path);
        await using QwenModel model = TestModels.Load(rounded.Path);

        float[] expected = Logits(expectedModel);
        float[] actual = Logits(model);

        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        double worst = actual.Zip(expected, (a, e) => Math.Abs((double)a - e)).Max();
        double rounding = actual.Zip(Logits(TestModels.Tiny), (a, e) => Math.Abs((double)a - e)).Max();
        TestContext.Out.WriteLine($"max |Δlogit| = {worst:E2}; rounding the weights changed {rounding:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(Bound));
        Assert.That(rounding, Is.GreaterThan(100 * Bound), "the weights were rounded");
    }

    // Prefill, then single tokens, which take another way through the weights on a CPU.
    private static float[] Logits(QwenModel model)
    {
        using var sequences = new SequenceRunner(model);
        return [.. sequences.Prefill(Ids), .. sequences.Decode([401, 512, 613], firstPosition: Ids.Length)];
    }
}
