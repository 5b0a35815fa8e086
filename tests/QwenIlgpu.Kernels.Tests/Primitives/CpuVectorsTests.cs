using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels.Tests;

internal sealed unsafe class CpuVectorsTests
{
    // Two units in the last place.
    private const double Tolerance = 2.4e-7;

    [Test]
    public void ExpMatchesReference()
    {
        for (double x = -87.3; x < 88.72; x += 0.0137)
            Assert.That(Exp((float)x), Is.EqualTo(Math.Exp((float)x)).Within(Tolerance * Math.Exp((float)x)), $"e^{x}");
    }

    [Test]
    public void ExpOfWhatFloatsDoNotHold()
    {
        Assert.That(Exp(float.NaN), Is.NaN);
        Assert.That(Exp(float.PositiveInfinity), Is.EqualTo(float.PositiveInfinity));
        Assert.That(Exp(88.8f), Is.EqualTo(float.PositiveInfinity));
        Assert.That(Exp(-87.4f), Is.Zero);
        Assert.That(Exp(float.NegativeInfinity), Is.Zero);
        Assert.That(Exp(0), Is.EqualTo(1f));
    }

    [TestCase(-1e30f, -0.0f)]
    [TestCase(-3, -0.14227762)]
    [TestCase(0, 0)]
    [TestCase(1e30f, 1e30f)]
    public void SiluMatchesReference(float x, double expected) =>
        Assert.That((double)CpuVectors.Silu(Vector512.Create(x)).GetElement(0), Is.EqualTo(expected).Within(1e-6 * Math.Abs(expected)));

    [Test]
    public void SoftplusMatchesReference()
    {
        for (double x = -87; x < 100; x += 0.0371)
        {
            double e = Math.Exp((float)x);
            double expected = e < 1e-6 ? e - (e * e / 2) : Math.Log(1 + e);
            float actual = CpuVectors.Softplus(Vector512.Create((float)x)).GetElement(7);
            Assert.That(actual, Is.EqualTo(expected).Within(2 * Tolerance * expected), $"softplus of {x}");
        }

        Assert.That(CpuVectors.Softplus(Vector512.Create(float.NaN)).GetElement(0), Is.NaN);
        Assert.That(CpuVectors.Softplus(Vector512.Create(float.PositiveInfinity)).GetElement(0), Is.EqualTo(float.PositiveInfinity));
    }

    [Test]
    public void SumsEachOfFour()
    {
        Vector512<float> steps = Vector512.CreateSequence(0f, 1f);

        Vector128<float> sums = CpuVectors.Sums(steps, steps * 2, steps * 4, steps * 8);

        Assert.That(sums, Is.EqualTo(Vector128.Create(120f, 240, 480, 960)));
    }

    [Test]
    public void SumsSquaresOfAnyCount([Range(0, 50)] int count)
    {
        float[] values = [.. Enumerable.Range(1, 50).Select(i => (float)i)];
        fixed (float* source = values)
            Assert.That(CpuVectors.SumOfSquares(source, count), Is.EqualTo(count * (count + 1) * ((2 * count) + 1) / 6));
    }

    [TestCase(0)]
    [TestCase(1)]
    [TestCase(15)]
    [TestCase(16)]
    [TestCase(17)]
    public void LoadsAndStoresNothingBehindTheEnd(int count)
    {
        float[] from = [.. Enumerable.Range(1, 32).Select(i => (float)i)];
        float[] to = new float[32];
        int kept = Math.Min(count, CpuVectors.Width);
        fixed (float* source = from, destination = to)
        {
            Vector512<float> values = CpuVectors.LoadFirst(source, count);
            CpuVectors.StoreFirst(Vector512.Create(7f), destination, count);
            Assert.That(Enumerable.Range(0, 16).Select(i => values.GetElement(i)), Is.EqualTo(Enumerable.Range(0, 16).Select(i => i < kept ? from[i] : 0)));
        }

        Assert.That(to, Is.EqualTo(Enumerable.Range(0, 32).Select(i => i < kept ? 7f : 0)));
    }

    [Test]
    public void PartsCoverEverythingOnce([Values(0, 1, 5, 16, 67)] int count, [Values(1, 2, 3, 7)] int threads, [Values(1, 16)] int block)
    {
        CpuPart[] parts = [.. Enumerable.Range(0, threads).Select(t => CpuPart.Of(count, block, t, threads))];

        Assert.That(parts[0].From, Is.Zero);
        Assert.That(parts[^1].To, Is.EqualTo(count));
        Assert.That(parts.Zip(parts.Skip(1), (a, b) => a.To == b.From), Has.All.True);
        Assert.That(parts.Select(p => p.From % block), Has.All.Zero.Or.EqualTo(count % block));
    }

    private static float Exp(float x) => CpuVectors.Exp(Vector512.Create(x)).GetElement(3);
}
