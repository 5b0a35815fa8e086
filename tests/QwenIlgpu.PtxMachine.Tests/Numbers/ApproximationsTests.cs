using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class ApproximationsTests
{
    private const float Infinity = float.PositiveInfinity;

    private static readonly float Subnormal = MathF.ScaleB(1, -140);

    private delegate void Function(ReadOnlySpan<float> a, Span<float> d, bool ftz);

    [Test]
    public void PowersOfWholeNumbersAreExact()
    {
        for (int exponent = -149; exponent < 128; exponent++)
            CheckBits(Approximations.Ex2, exponent, ftz: false, MathF.ScaleB(1, exponent));
    }

    [Test]
    public void PowersHaveTheirSpecialValues()
    {
        Check(Approximations.Ex2, -Infinity, 0f, 0f);
        Check(Approximations.Ex2, Infinity, Infinity, Infinity);
        Check(Approximations.Ex2, 128, Infinity, Infinity);
        Check(Approximations.Ex2, -1e30f, 0f, 0f);
        Check(Approximations.Ex2, -0f, 1, 1);
        Check(Approximations.Ex2, -Subnormal, 1, 1);
        Check(Approximations.Ex2, float.NaN, float.NaN, float.NaN);
        Check(Approximations.Ex2, -127, MathF.ScaleB(1, -127), 0f);
        Check(Approximations.Ex2, -126, MathF.ScaleB(1, -126), MathF.ScaleB(1, -126));
        Check(Approximations.Ex2, -151, 0f, 0f);
    }

    // The double has some 2^-50 of error, so the float is the nearest but where the number lies that close to a middle.
    [Test]
    public void PowersAreTheNearestFloats()
    {
        var random = new Random(6);
        float[] x = new float[32];
        float[] d = new float[32];
        for (int round = 0; round < 3000; round++)
        {
            for (int i = 0; i < x.Length; i++)
                x[i] = (float)((random.NextDouble() - 0.5) * (round % 2 == 0 ? 250 : 2));
            Approximations.Ex2(x, d, ftz: false);
            for (int i = 0; i < x.Length; i++)
            {
                double exact = Math.Pow(2, x[i]);
                double half = (MathF.BitIncrement(d[i]) - (double)d[i]) / 2;
                Assert.That(Math.Abs(d[i] - exact), Is.LessThanOrEqualTo(half * (1 + Math.ScaleB(1, -20))), $"{x[i]:g9}");
            }
        }
    }

    [Test]
    public void LogarithmsHaveTheirSpecialValues()
    {
        Check(Approximations.Lg2, 8, 3, 3);
        Check(Approximations.Lg2, 1, 0f, 0f);
        Check(Approximations.Lg2, 0f, -Infinity, -Infinity);
        Check(Approximations.Lg2, -0f, -Infinity, -Infinity);
        Check(Approximations.Lg2, Subnormal, -140, -Infinity);
        Check(Approximations.Lg2, -Subnormal, float.NaN, -Infinity);
        Check(Approximations.Lg2, -1, float.NaN, float.NaN);
        Check(Approximations.Lg2, Infinity, Infinity, Infinity);
        Check(Approximations.Lg2, 10, 3.321928094887362f, 3.321928094887362f);
    }

    [Test]
    public void ReciprocalsHaveTheirSpecialValues()
    {
        Check(Approximations.Reciprocal, 3, 1f / 3, 1f / 3);
        Check(Approximations.Reciprocal, 0f, Infinity, Infinity);
        Check(Approximations.Reciprocal, -0f, -Infinity, -Infinity);
        Check(Approximations.Reciprocal, Infinity, 0f, 0f);
        Check(Approximations.Reciprocal, -Infinity, -0f, -0f);
        Check(Approximations.Reciprocal, -Subnormal, -Infinity, -Infinity);
        Check(Approximations.Reciprocal, -MathF.ScaleB(1, -127), -MathF.ScaleB(1, 127), -Infinity);
        Check(Approximations.Reciprocal, -MathF.ScaleB(1, 127), -MathF.ScaleB(1, -127), -0f);
        Check(Approximations.Reciprocal, float.NaN, float.NaN, float.NaN);
    }

    [Test]
    public void ReciprocalRootsHaveTheirSpecialValues()
    {
        Check(Approximations.ReciprocalSquareRoot, 16, 0.25f, 0.25f);
        Check(Approximations.ReciprocalSquareRoot, 2, 0.70710678f, 0.70710678f);
        Check(Approximations.ReciprocalSquareRoot, 0f, Infinity, Infinity);
        Check(Approximations.ReciprocalSquareRoot, -0f, -Infinity, -Infinity);
        Check(Approximations.ReciprocalSquareRoot, Infinity, 0f, 0f);
        Check(Approximations.ReciprocalSquareRoot, Subnormal, MathF.ScaleB(1, 70), Infinity);
        Check(Approximations.ReciprocalSquareRoot, -Subnormal, float.NaN, -Infinity);
        Check(Approximations.ReciprocalSquareRoot, -4, float.NaN, float.NaN);
        Check(Approximations.ReciprocalSquareRoot, -Infinity, float.NaN, float.NaN);
    }

    [Test]
    public void AnglesHaveTheirSpecialValues()
    {
        Check(Approximations.Sine, 1, 0.8414709848078965f, 0.8414709848078965f);
        Check(Approximations.Sine, -0f, -0f, -0f);
        Check(Approximations.Sine, -Subnormal, -Subnormal, -0f);
        Check(Approximations.Sine, -Infinity, float.NaN, float.NaN);
        Check(Approximations.Cosine, 1, 0.5403023058681398f, 0.5403023058681398f);
        Check(Approximations.Cosine, Subnormal, 1, 1);
        Check(Approximations.Cosine, Infinity, float.NaN, float.NaN);
    }

    [TestCase(0.5f, 0.46211716f)]
    [TestCase(-0f, -0f)]
    [TestCase(100f, 1f)]
    [TestCase(float.NegativeInfinity, -1f)]
    [TestCase(-float.Epsilon, -float.Epsilon)]
    [TestCase(float.NaN, float.NaN)]
    public void TangentsHaveTheirSpecialValues(float x, float expected) =>
        CheckBits((a, d, _) => Approximations.Tanh(a, d), x, ftz: false, expected);

    private static void Check(Function function, float x, float expected, float flushed)
    {
        CheckBits(function, x, ftz: false, expected);
        CheckBits(function, x, ftz: true, flushed);
    }

    private static void CheckBits(Function function, float x, bool ftz, float expected)
    {
        float[] values = new float[32];
        Array.Fill(values, x);
        function(values, values, ftz);
        uint bits = float.IsNaN(expected) ? 0x7fffffffu : BitConverter.SingleToUInt32Bits(expected);

        Assert.That(values.Select(BitConverter.SingleToUInt32Bits), Is.All.EqualTo(bits), $"{x:g9}, ftz {ftz}: {values[0]:g9}, not {expected:g9}");
    }
}
