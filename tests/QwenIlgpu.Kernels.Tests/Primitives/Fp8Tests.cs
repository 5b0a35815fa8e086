namespace QwenIlgpu.Kernels.Tests;

internal sealed class Fp8Tests
{
    private static IEnumerable<int> Codes() => Enumerable.Range(0, 256).Where(c => (c & 0x7f) != 0x7f);

    // Zero, the least and largest subnormal, the least normal, one, its neighbours, the largest, and signs.
    [TestCase(0x00, 0)]
    [TestCase(0x01, 0.001953125)]
    [TestCase(0x07, 0.013671875)]
    [TestCase(0x08, 0.015625)]
    [TestCase(0x37, 0.9375)]
    [TestCase(0x38, 1)]
    [TestCase(0x39, 1.125)]
    [TestCase(0x7e, 448)]
    [TestCase(0x80, 0)]
    [TestCase(0x81, -0.001953125)]
    [TestCase(0xb8, -1)]
    [TestCase(0xfe, -448)]
    [TestCase(0x7f, double.NaN)]
    [TestCase(0xff, double.NaN)]
    public void HasTheValuesOfItsDefinition(int code, double value) =>
        Assert.That(Fp8Reference.Value((byte)code), Is.EqualTo(value));

    // From one code to the next of a sign values rise by an eighth of their power of two, by 2^-9 at the least.
    [Test]
    public void StepsByAnEighthOfAPowerOfTwo()
    {
        double value = 0;
        for (int code = 0; code < 0x7f; code++)
        {
            Assert.That(Fp8Reference.Value((byte)code), Is.EqualTo(value), $"{code:x2}");
            Assert.That(Fp8Reference.Value((byte)(code | 0x80)), Is.EqualTo(-value), $"{code | 0x80:x2}");
            value += Math.Pow(2, Math.Max(Math.Floor(Math.Log2(Math.Max(value, double.Epsilon))), -6) - 3);
        }
    }

    [TestCaseSource(nameof(Codes))]
    public void BecomesAFloatExactly(int code)
    {
        Assert.That(Fp8.ToFloat((uint)code), Is.EqualTo((float)Fp8Reference.Value((byte)code)));
        Assert.That(Fp8.ToFloat((uint)code | 0xabcdef00u), Is.EqualTo(Fp8.ToFloat((uint)code)), "bits above the code");
    }
}
