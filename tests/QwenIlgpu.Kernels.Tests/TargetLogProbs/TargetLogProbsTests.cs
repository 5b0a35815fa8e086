using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

[SamplingTiers]
internal sealed class TargetLogProbsTests(string tierName) : KernelTests
{
    // Values up to about 30, so that a float's own rounding is 1e-6; each of 256 threads adds at most 122 eights in float: the sum is off by
    // less than 130 · 2^-24 = 8e-6 of itself, and so is its logarithm.
    private const double Tolerance = 1e-5;

    private SamplingTier Tier => SamplingTier.Named(tierName);

    [TearDown]
    public void ReleaseTierBuffers() => WarpDevice.ReleaseBuffers();

    [TestCase(1, 1, 1)]
    [TestCase(5, 13, 13)]
    [TestCase(3, 2048, 2047)]
    [TestCase(7, 2053, 2053)]
    [TestCase(2, 248_320, 248_077)]
    public void MatchesReference(int rows, int columns, int vocabulary)
    {
        float[] logits = Seeded.Floats(columns + rows, (long)rows * columns, 15);
        int[] targets = [.. Enumerable.Range(0, rows).Select(r => r == 0 ? vocabulary - 1 : (r * 7919) % vocabulary)];

        AssertClose(Run(logits, rows, columns, vocabulary, targets), Expected(logits, columns, vocabulary, targets), Tolerance);
    }

    [Test]
    public void AnIdBesideTheTargetIsFarOff()
    {
        float[] logits = Seeded.Floats(1, 4 * 300, 15);
        int[] targets = [0, 17, 150, 298];

        float[] next = Run(logits, 4, 300, 300, [.. targets.Select(t => t + 1)]);

        Assert.That(next.Zip(Expected(logits, 300, 300, targets), (a, e) => Math.Abs(a - e)), Has.All.GreaterThan(100 * Tolerance));
    }

    [Test]
    public void ARowsBitsDoNotDependOnTheOthers()
    {
        const int Columns = 4099;
        float[] logits = Seeded.Floats(3, 5 * Columns, 15);
        int[] targets = [0, 5, 4098, 77, 1000];

        float[] together = Run(logits, 5, Columns, Columns, targets);

        for (int row = 0; row < 5; row++)
            Assert.That(Run(logits[(row * Columns)..((row + 1) * Columns)], 1, Columns, Columns, [targets[row]])[0], Is.EqualTo(together[row]));
    }

    // Shifted far from zero and with one logit far above all others: the sum neither overflows nor vanishes.
    [TestCase(-3e4f, 0)]
    [TestCase(3e4f, 0)]
    [TestCase(0, 900)]
    public void IsStable(float shift, float peak)
    {
        const int Columns = 1000;
        float[] logits = [.. Seeded.Floats(9, Columns, 4).Select((v, i) => v + shift + (i == 321 ? peak : 0))];

        float[] actual = Run(logits, 1, Columns, Columns, [321]);

        AssertClose(actual, Expected(logits, Columns, Columns, [321]), Tolerance);
    }

    // Whichever thread meets it, and whether or not it is the target; columns that pad the head may hold anything.
    [TestCase(0)]
    [TestCase(255)]
    [TestCase(2047)]
    [TestCase(2048)]
    [TestCase(4096)]
    public void ARowWithANonFiniteLogitHasNaN(int place)
    {
        const int Columns = 4099;
        const int Vocabulary = 4097;
        float[] values = [float.NaN, float.PositiveInfinity, float.NegativeInfinity, 0];
        float[] logits = Seeded.Floats(place, values.Length * Columns, 15);
        for (int row = 0; row < values.Length; row++)
        {
            logits[(row * Columns) + place] = values[row];
            logits[(row * Columns) + Vocabulary] = float.NaN;
            logits[(row * Columns) + Vocabulary + 1] = float.NegativeInfinity;
        }

        foreach (int target in new[] { place, (place + 77) % Vocabulary })
        {
            float[] actual = Run(logits, values.Length, Columns, Vocabulary, [.. Enumerable.Repeat(target, values.Length)]);

            Assert.That(actual[..^1], Is.All.NaN);
            Assert.That(actual[^1], Is.EqualTo(Expected(logits[^Columns..], Columns, Vocabulary, [target])[0]).Within(Tolerance), "the row beside them");
        }
    }

    [Test]
    public void RejectsWhatDoesNotFit()
    {
        Assert.That(() => Run(new float[6], 2, 3, 4, [0, 0]), Throws.ArgumentException.With.Message.EqualTo("target_log_probs: vocabulary size is 4, columns of logits 3"));
        Assert.That(() => Run(new float[6], 2, 3, 3, [0]), Throws.ArgumentException.With.Message.EqualTo("target_log_probs: length of targets is 1, rows of logits is 2"));
    }

    private float[] Run(float[] logits, int rows, int columns, int vocabulary, int[] targets)
    {
        TestDevice device = Tier.Device;
        ArrayView<float> logProbs = device.Poisoned<float>(rows);
        device.Run(TargetLogProbs.Bind(Tier.Loader, device.Upload(logits, rows, columns), vocabulary, device.Upload(targets), logProbs));
        return device.Download(logProbs);
    }

    private static double[] Expected(float[] logits, int columns, int vocabulary, int[] targets) =>
        [.. targets.Select((target, row) => SamplingReference.LogProbs(logits[(row * columns)..((row * columns) + vocabulary)])[target])];
}
