namespace QwenIlgpu.Tests;

/// <summary>Powers of two as E4M3 numbers times one of them: the same numbers, or none.</summary>
internal sealed class MxScalesTests
{
    // E4M3 has powers of two from 2^-9 to 2^8.
    [TestCase(127, 127)]
    [TestCase(110, 127)]
    [TestCase(0, 17)]
    [TestCase(237, 254)]
    public void ScalesWithinTheRangeAreExact(int least, int largest)
    {
        byte[] exponents = [.. Enumerable.Range(least, largest - least + 1).Select(e => (byte)e)];

        (byte[] scales, float global) = MxScales.ToE4M3(exponents, Codes(exponents.Length), "place")!.Value;

        for (int i = 0; i < exponents.Length; i++)
            Assert.That(E4M3(scales[i]) * global, Is.EqualTo(Math.Pow(2, exponents[i] - 127)), $"2^({exponents[i]} - 127)");
    }

    [TestCase(109, 127)]
    [TestCase(0, 254)]
    public void ScalesThatSpreadFurtherHaveNone(int least, int largest) =>
        Assert.That(MxScales.ToE4M3([(byte)least, (byte)largest], Codes(2), "place"), Is.Null);

    // Writers give a group of zeros the smallest exponent there is. The sign of a zero is none.
    [Test]
    public void AGroupOfZerosDoesNotSpreadThem()
    {
        byte[] codes = Codes(3);
        codes.AsSpan(16, 16).Fill(0x80);

        (byte[] scales, float global) = MxScales.ToE4M3([120, 0, 125], codes, "place")!.Value;

        Assert.That((E4M3(scales[0]) * global, E4M3(scales[2]) * global), Is.EqualTo((Math.Pow(2, -7), Math.Pow(2, -2))));
        Assert.That(scales[1], Is.Zero);
    }

    [Test]
    public void NothingButZerosIsFine()
    {
        (byte[] scales, float global) = MxScales.ToE4M3([0, 254], new byte[32], "place")!.Value;
        Assert.That((scales, global), Is.EqualTo((new byte[2], 1f)));
    }

    [Test]
    public void RefusesNaN() => Assert.That(
        () => MxScales.ToE4M3([127, 255], Codes(2), "w: tensor s"),
        Throws.InstanceOf<InvalidDataException>().With.Message.StartsWith("w: tensor s holds NaN at element 1"));

    private static byte[] Codes(int groups) => [.. Enumerable.Repeat((byte)0x31, 16 * groups)];

    // By its definition: sign, four bits of exponent about 7, three of mantissa.
    private static double E4M3(byte bits)
    {
        int exponent = (bits >> 3) & 15;
        return exponent == 0 ? (bits & 7) * Math.Pow(2, -9) : (8 + (bits & 7)) * Math.Pow(2, exponent - 10);
    }
}
