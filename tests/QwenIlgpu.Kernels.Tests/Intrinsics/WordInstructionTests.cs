using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Instructions from words to a word: bit for bit against exact arithmetic, the approximate ones within their errors.</summary>
[TestFixtureSource(typeof(WarpDevice), nameof(WarpDevice.Names))]
[NonParallelizable]
internal sealed class WordInstructionTests(string deviceName)
{
    private const int Count = 6144;
    private const double SmallestNormal = 1.1754943508222875e-38;

    private uint[] a = [];
    private uint[] b = [];
    private uint[] c = [];
    private uint[] results = [];

    [OneTimeSetUp]
    public void Run()
    {
        TestDevice device = WarpDevice.Named(deviceName);
        (a, b, c) = (Inputs(1), Inputs(2), Inputs(3));
        var kernel = new WordKernel(device.Upload(a), device.Upload(b), device.Upload(c), device.Poisoned<uint>(WordKernel.Ops * Count));
        device.Run(WordKernel.Words, new KernelConfig(deviceName == "cpu" ? 1 : 16, 32), kernel);
        results = device.Download(kernel.Results);
        device.Release();
    }

    [Test]
    public void RoundsADifferenceOfF16Once() => Each(WordKernel.F16Subtract, i => Pairwise(BinaryFormat.F16, i, Difference));

    [Test]
    public void RoundsAFusedSumOfF16Once() => Each(WordKernel.F16Fma, i => Pairwise(BinaryFormat.F16, i, SmallFloat.Fma));

    [Test]
    public void RoundsADifferenceOfBf16Once() => Each(WordKernel.Bf16Subtract, i => Pairwise(BinaryFormat.Bf16, i, Difference));

    [Test]
    public void RoundsAProductOfBf16Once() => Each(WordKernel.Bf16Multiply, i => Pairwise(BinaryFormat.Bf16, i, Product));

    [Test]
    public void PacksF16() => Each(WordKernel.F16Pack, i => Packed(BinaryFormat.F16, i));

    [Test]
    public void PacksBf16() => Each(WordKernel.Bf16Pack, i => Packed(BinaryFormat.Bf16, i));

    [Test]
    public void WidensTheLowerF16() => EachFloat(WordKernel.F16Low, i => SmallFloat.ToDouble(BinaryFormat.F16, a[i] & 0xffff));

    [Test]
    public void WidensTheUpperF16() => EachFloat(WordKernel.F16High, i => SmallFloat.ToDouble(BinaryFormat.F16, a[i] >> 16));

    [Test]
    public void PutsLowCodesOn1024() =>
        Each(WordKernel.LowNibblesToF16, i => Pair(BinaryFormat.F16, 1024 + Nibble(i, 0), 1024 + Nibble(i, 4)));

    [Test]
    public void PutsHighCodesOn1024() =>
        Each(WordKernel.HighNibblesToF16, i => Pair(BinaryFormat.F16, 1024 + (16 * Nibble(i, 1)), 1024 + (16 * Nibble(i, 5))));

    [Test]
    public void PutsLowCodesOn128() =>
        Each(WordKernel.LowNibblesToBf16, i => Pair(BinaryFormat.Bf16, 128 + Nibble(i, 0), 128 + Nibble(i, 4)));

    [Test]
    public void PutsMiddleCodesOn16() =>
        Each(WordKernel.MiddleNibblesToBf16, i => Pair(BinaryFormat.Bf16, 16 + (a[i] >> 3 & 15), 16 + (a[i] >> 19 & 15)));

    [Test]
    public void PutsSevenBitsOn128() =>
        Each(WordKernel.SevenBitsToBf16, i => Pair(BinaryFormat.Bf16, 128 + (a[i] & 127), 128 + (a[i] >> 16 & 127)));

    [Test]
    public void Makes256OfASign() =>
        Each(WordKernel.SignsToBf16, i => Pair(BinaryFormat.Bf16, (a[i] & 128) != 0 ? 256 : 128, (a[i] & 0x800000) != 0 ? 256 : 128));

    [Test]
    public void PermutesBytes() => Each(WordKernel.Permute, i =>
    {
        byte[] bytes = [.. BitConverter.GetBytes(a[i]), .. BitConverter.GetBytes(b[i])];
        var chosen = new byte[4];
        for (int n = 0; n < 4; n++)
        {
            uint selector = (c[i] >> (4 * n)) & 15;
            chosen[n] = selector < 8 ? bytes[selector] : (byte)((sbyte)bytes[selector - 8] >> 7);
        }

        return BitConverter.ToUInt32(chosen);
    });

    [Test]
    public void FusesMultiplyAndAdd() =>
        EachFloat(WordKernel.Fma, i => SmallFloat.Fma(BinaryFormat.F32, Float(a[i]), Float(b[i]), Float(c[i])));

    [Test]
    public void ApproximatesExp2() => Approximates(WordKernel.Exp2, x => Math.Pow(2, x), Float32.Exp2RelativeError);

    [Test]
    public void ApproximatesRsqrt() => Approximates(WordKernel.Rsqrt, x => 1 / Math.Sqrt(x), Float32.RsqrtRelativeError);

    [Test]
    public void ApproximatesReciprocal() => Approximates(WordKernel.Reciprocal, x => 1 / x, Float32.ReciprocalRelativeError);

    // By turns: any bits; f16 or bf16 pairs of like size, whose sums cancel; pairs of what is special; floats of usual size.
    private static uint[] Inputs(int seed)
    {
        uint[] special =
        [
            0, 0x8000, 1, 0x8001, 0x3ff, 0x400, 0x3c00, 0xbc00, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e01, 0x0080, 0x007f, 0x3f80, 0xbf80,
            0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7fc1,
        ];
        var random = new Random(seed);
        var values = new uint[Count];
        for (int i = 0; i < Count; i++)
        {
            values[i] = (i % 4) switch
            {
                0 => (uint)random.NextInt64(1L << 32),
                1 => Near() | (Near() << 16),
                2 => special[random.Next(special.Length)] | (special[random.Next(special.Length)] << 16),
                _ => BitConverter.SingleToUInt32Bits((random.NextSingle() - 0.5f) * 64),
            };
        }

        return values;

        uint Near() => (uint)(0x3a00 + random.Next(0x600)) | (random.Next(2) == 0 ? 0u : 0x8000u);
    }

    private static float Float(uint bits) => BitConverter.UInt32BitsToSingle(bits);

    private static uint Pair(BinaryFormat format, double low, double high) =>
        SmallFloat.ToBits(format, low) | (SmallFloat.ToBits(format, high) << 16);

    private static double Difference(BinaryFormat format, double p, double q, double r) => SmallFloat.Fma(format, p, 1, -q);

    private static double Product(BinaryFormat format, double p, double q, double r) => SmallFloat.Fma(format, p, q, -0.0);

    private uint Pairwise(BinaryFormat format, int index, Func<BinaryFormat, double, double, double, double> operation)
    {
        return Pair(format, Of(0), Of(16));

        double Of(int shift) => operation(
            format, SmallFloat.ToDouble(format, (a[index] >> shift) & 0xffff), SmallFloat.ToDouble(format, (b[index] >> shift) & 0xffff),
            SmallFloat.ToDouble(format, (c[index] >> shift) & 0xffff));
    }

    private uint Packed(BinaryFormat format, int index) =>
        Pair(format, SmallFloat.Round(format, Float(a[index])), SmallFloat.Round(format, Float(b[index])));

    private int Nibble(int index, int nibble) => (int)(a[index] >> (4 * nibble)) & 15;

    private void Each(int op, Func<int, uint> expected)
    {
        for (int i = 0; i < Count; i++)
        {
            uint actual = results[(op * Count) + i];
            if (actual != expected(i))
                Assert.Fail($"of {a[i]:x8}, {b[i]:x8}, {c[i]:x8}: {actual:x8} instead of {expected(i):x8}");
        }
    }

    private void EachFloat(int op, Func<int, double> expected)
    {
        for (int i = 0; i < Count; i++)
        {
            float actual = Float(results[(op * Count) + i]);
            float wanted = (float)expected(i);
            bool same = BitConverter.SingleToUInt32Bits(actual) == BitConverter.SingleToUInt32Bits(wanted);
            if (!same && !(float.IsNaN(actual) && float.IsNaN(wanted)))
                Assert.Fail($"of {a[i]:x8}, {b[i]:x8}, {c[i]:x8}: {actual:R} instead of {wanted:R}");
        }
    }

    private void Approximates(int op, Func<double, double> function, double bound)
    {
        double worst = 0;
        for (int i = 0; i < Count; i++)
        {
            float x = Flushed(Float(a[i]));
            double expected = function(x);
            float actual = Float(results[(op * Count) + i]);
            double error = Math.Abs((actual / expected) - 1);
            bool atTheBorderOfZero = actual == 0 && Math.Abs(expected) <= SmallestNormal * (1 + bound);
            if (actual.Equals(Flushed((float)expected)) || atTheBorderOfZero)
                error = double.IsNormal(actual) ? error : 0;
            if (!(error <= bound))
                Assert.Fail($"of {x:R}: {actual:R} instead of {expected:R}, a relative error of {error:g3}; stated is {bound:g3}");
            worst = Math.Max(worst, error);
        }

        TestContext.Out.WriteLine($"largest relative error {worst:g3}, stated {bound:g3}");
    }

    private static float Flushed(float value) => Math.Abs(value) < SmallestNormal ? MathF.CopySign(0, value) : value;
}
