namespace QwenIlgpu.Kernels.Tests;

internal sealed class NumberFormatTests
{
    [Test]
    public void ReadsEveryF16AsTheRuntimeDoes()
    {
        for (int bits = 0; bits <= ushort.MaxValue; bits++)
        {
            float expected = (float)BitConverter.UInt16BitsToHalf((ushort)bits);
            float actual = F16.ToFloat((ushort)bits);
            if (!(float.IsNaN(expected) && float.IsNaN(actual)) && BitConverter.SingleToInt32Bits(actual) != BitConverter.SingleToInt32Bits(expected))
                Assert.Fail($"{bits:x4}: {actual} instead of {expected}");
        }
    }

    [Test]
    public void RoundsToF16AsTheRuntimeDoes()
    {
        var random = new Random(16);
        for (int i = 0; i < 2_000_000; i++)
        {
            // Half of them around the values that f16 has, ties included.
            float value = i % 2 == 0
                ? BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue))
                : (float)BitConverter.UInt16BitsToHalf((ushort)random.Next(1 << 16)) * (1 + (random.Next(-4, 5) / 4096f));
            ushort expected = BitConverter.HalfToUInt16Bits((Half)value);
            ushort actual = F16.FromFloat(value);
            if (actual != expected && !(float.IsNaN(value) && Half.IsNaN(BitConverter.UInt16BitsToHalf(actual))))
                Assert.Fail($"{value:R}: {actual:x4} instead of {expected:x4}");
        }
    }
}
