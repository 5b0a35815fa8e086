using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class HalfConversionsTests
{
    private delegate void Narrowing(ReadOnlySpan<float> a, Span<uint> d);

    [Test]
    public void WidensEveryF16()
    {
        for (uint bits = 0; bits < 0x10000; bits++)
        {
            float expected = (bits & 0x7fff) > 0x7c00
                ? BitConverter.UInt32BitsToSingle(0x7fffffff)
                : (float)BitConverter.UInt16BitsToHalf((ushort)bits);
            CheckWidening(HalfConversions.F16ToF32, bits, expected);
        }
    }

    [Test]
    public void WidensEveryBf16()
    {
        for (uint bits = 0; bits < 0x10000; bits++)
        {
            uint expected = (bits & 0x7fff) > 0x7f80 ? 0x7fffffff : bits << 16;
            CheckWidening(HalfConversions.Bf16ToF32, bits, BitConverter.UInt32BitsToSingle(expected));
        }
    }

    [TestCase(0x3c00u, 1f)]
    [TestCase(0x0001u, 5.9604645e-8f)]
    [TestCase(0x83ffu, -6.0975552e-5f)]
    [TestCase(0x7bffu, 65504f)]
    [TestCase(0xfc00u, float.NegativeInfinity)]
    public void WidensF16(uint bits, float expected) => CheckWidening(HalfConversions.F16ToF32, bits, expected);

    // Between neighbours of the format: the middle goes to the even one, what is beside the middle to its side.
    [Test]
    public void NarrowsToTheNearestF16() =>
        CheckNarrowing(
            HalfConversions.F32ToF16, 0x7c00, bits => bits == 0x7c00 ? 65536f : (float)BitConverter.UInt16BitsToHalf((ushort)bits));

    [Test]
    public void NarrowsToTheNearestBf16()
    {
        CheckNarrowing(HalfConversions.F32ToBf16, 0x7f7f, bits => BitConverter.UInt32BitsToSingle(bits << 16));
        Assert.Multiple(() =>
        {
            Assert.That(Narrow(HalfConversions.F32ToBf16, BitConverter.UInt32BitsToSingle(0x7f7f7fff)), Is.EqualTo(0x7f7f));
            Assert.That(Narrow(HalfConversions.F32ToBf16, BitConverter.UInt32BitsToSingle(0x7f7f8000)), Is.EqualTo(0x7f80));
            Assert.That(Narrow(HalfConversions.F32ToBf16, float.MinValue), Is.EqualTo(0xff80));
        });
    }

    [TestCase(0f, 0u, 0u, 0u)]
    [TestCase(-0f, 0x8000u, 0x8000u, 0x80000000u)]
    [TestCase(float.PositiveInfinity, 0x7c00u, 0x7f80u, 0x7f800000u)]
    [TestCase(float.NegativeInfinity, 0xfc00u, 0xff80u, 0xff800000u)]
    [TestCase(float.NaN, 0x7fffu, 0x7fffu, 0x7fffffffu)]
    [TestCase(float.Epsilon, 0u, 0u, 0u)]
    [TestCase(1e9f, 0x7c00u, 0x4e6eu, 0x4e6e6000u)]
    public void NarrowsSpecialValues(float value, uint f16, uint bf16, uint tf32)
    {
        Assert.Multiple(() =>
        {
            Assert.That(Narrow(HalfConversions.F32ToF16, value), Is.EqualTo(f16));
            Assert.That(Narrow(HalfConversions.F32ToBf16, value), Is.EqualTo(bf16));
            Assert.That(Narrow(HalfConversions.F32ToTf32, value), Is.EqualTo(tf32));
        });
    }

    [TestCase(0x7f800001u)]
    [TestCase(0xff800001u)]
    [TestCase(0xffc00000u)]
    public void EveryNaNBecomesTheOne(uint bits)
    {
        float value = BitConverter.UInt32BitsToSingle(bits);
        Assert.Multiple(() =>
        {
            Assert.That(Narrow(HalfConversions.F32ToF16, value), Is.EqualTo(0x7fff));
            Assert.That(Narrow(HalfConversions.F32ToBf16, value), Is.EqualTo(0x7fff));
            Assert.That(Narrow(HalfConversions.F32ToTf32, value), Is.EqualTo(0x7fffffff));
        });
    }

    [TestCase(0x3f800fffu, 0x3f800000u)]
    [TestCase(0x3f801000u, 0x3f802000u)]
    [TestCase(0x3f803000u, 0x3f804000u)]
    [TestCase(0xbf801000u, 0xbf802000u)]
    [TestCase(0x3fffffffu, 0x40000000u)]
    [TestCase(0x00001000u, 0x00002000u)]
    [TestCase(0x00000fffu, 0u)]
    [TestCase(0x7f7fffffu, 0x7f800000u)]
    public void TiesOfTf32GoAwayFromZero(uint bits, uint expected) =>
        Assert.That(Narrow(HalfConversions.F32ToTf32, BitConverter.UInt32BitsToSingle(bits)), Is.EqualTo(expected));

    [Test]
    public void PacksTheFirstOperandIntoTheUpperHalf()
    {
        float[] high = [.. Enumerable.Range(0, 32).Select(i => (float)i)];
        float[] low = [.. Enumerable.Range(0, 32).Select(i => -0.5f * i)];
        uint[] f16 = new uint[32];
        uint[] bf16 = new uint[32];
        HalfConversions.PackF16(high, low, f16);
        HalfConversions.PackBf16(high, low, bf16);

        Assert.Multiple(() =>
        {
            Assert.That(f16[3], Is.EqualTo(0x4200be00));
            Assert.That(bf16[3], Is.EqualTo(0x4040bfc0));
            Assert.That(f16.Select(word => (float)BitConverter.UInt16BitsToHalf((ushort)(word >> 16))), Is.EqualTo(high));
            Assert.That(bf16.Select(word => BitConverter.UInt32BitsToSingle(word << 16)), Is.EqualTo(low));
        });
    }

    private delegate void Widening(ReadOnlySpan<uint> a, Span<float> d);

    private static void CheckWidening(Widening widening, uint bits, float expected)
    {
        uint[] words = new uint[32];
        float[] values = new float[32];
        int lane = (int)(bits % 32);
        words[lane] = bits | 0xabcd0000;
        widening(words, values);

        if (BitConverter.SingleToUInt32Bits(values[lane]) != BitConverter.SingleToUInt32Bits(expected) || values[(lane + 1) % 32] != 0)
            Assert.Fail($"{bits:x4}: {values[lane]:g9} instead of {expected:g9}, beside it {values[(lane + 1) % 32]}");
    }

    private static void CheckNarrowing(Narrowing narrowing, uint last, Func<uint, float> valueOf)
    {
        float[] values = new float[32];
        uint[] words = new uint[32];
        for (uint bits = 0; bits < last; bits++)
        {
            float middle = (valueOf(bits) / 2) + (valueOf(bits + 1) / 2);
            if (middle == 0)
                middle = float.ScaleB(valueOf(bits + 1), -1);
            uint even = bits + (bits & 1);
            float above = MathF.BitIncrement(middle);
            float[] some = [valueOf(bits), MathF.BitDecrement(middle), middle, above, -middle, -above];
            uint[] expected = [bits, bits, even, bits + 1, even | 0x8000, (bits + 1) | 0x8000];
            some.CopyTo(values, 7);
            narrowing(values, words);

            for (int i = 0; i < some.Length; i++)
            {
                if (words[i + 7] != expected[i])
                    Assert.Fail($"{some[i]:g9}: {words[i + 7]:x} instead of {expected[i]:x}");
            }
        }
    }

    private static uint Narrow(Narrowing narrowing, float value)
    {
        float[] values = new float[32];
        uint[] words = new uint[32];
        Array.Fill(values, value);
        narrowing(values, words);
        Assert.That(words, Is.All.EqualTo(words[0]));
        return words[0];
    }
}
