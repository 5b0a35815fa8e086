using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine.Tests;

[TestFixture(typeof(F16Lanes))]
[TestFixture(typeof(Bf16Lanes))]
internal sealed class PackedHalvesTests<TFormat>
    where TFormat : struct, IHalfLanes
{
    private delegate void Binary(ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, Span<uint> d);

    [Test]
    public void AddsExactlyAndRoundsOnce() => Check(PackedHalves.Add<TFormat>, (a, b) => ExactNumber.Of(a) + ExactNumber.Of(b));

    [Test]
    public void SubtractsExactlyAndRoundsOnce() =>
        Check(PackedHalves.Subtract<TFormat>, (a, b) => ExactNumber.Of(a) - ExactNumber.Of(b));

    [Test]
    public void MultipliesExactlyAndRoundsOnce() => Check(PackedHalves.Multiply<TFormat>, (a, b) => ExactNumber.Of(a * b));

    [Test]
    public void FusesExactlyAndRoundsOnce([Values] bool isNear)
    {
        var random = new Random(5);
        for (int round = 0; round < 3000; round++)
        {
            uint[] a = Words(random);
            uint[] b = Words(random);
            uint[] c = Words(random);
            if (isNear)
                c = [.. c.Select((word, i) => (word & 0x000f000fu) | (ProductBits(a[i], b[i]) & 0xfff0fff0u))];
            uint[] d = new uint[Lanes.Count];
            PackedHalves.Fma<TFormat>(a, b, c, d);
            for (int i = 0; i < d.Length; i++)
            {
                for (int shift = 0; shift < 32; shift += 16)
                {
                    uint[] operands = [Half(a[i], shift), Half(b[i], shift), Half(c[i], shift)];
                    ExactNumber exact = ExactNumber.Of(Value(operands[0]) * Value(operands[1])) + ExactNumber.Of(Value(operands[2]));
                    CheckHalf(exact, Half(d[i], shift), operands);
                }
            }
        }
    }

    [Test]
    public void KeepsTheHalvesApart()
    {
        uint one = Of(1);
        uint three = Of(3);
        Assert.Multiple(() =>
        {
            Assert.That(On(PackedHalves.Add<TFormat>, (one << 16) | three, (three << 16) | three), Is.EqualTo((Of(4) << 16) | Of(6)));
            Assert.That(On(PackedHalves.Subtract<TFormat>, (one << 16) | three, three), Is.EqualTo(one << 16));
            Assert.That(On(PackedHalves.Multiply<TFormat>, (three << 16) | three, one << 16), Is.EqualTo(three << 16));
            Assert.That(Fused((three << 16) | one, (one << 16) | three, (one << 16) | three), Is.EqualTo((Of(4) << 16) | Of(6)));
        });
    }

    [Test]
    public void OverflowsToInfinity()
    {
        uint greatest = Infinity - 1;
        Assert.Multiple(() =>
        {
            Assert.That(On(PackedHalves.Add<TFormat>, greatest, greatest), Is.EqualTo(Infinity));
            Assert.That(On(PackedHalves.Subtract<TFormat>, greatest | 0x8000, greatest), Is.EqualTo(Infinity | 0x8000));
            Assert.That(On(PackedHalves.Multiply<TFormat>, greatest, Of(2)), Is.EqualTo(Infinity));
            Assert.That(Fused(greatest, Of(2), 0), Is.EqualTo(Infinity));
            Assert.That(Fused(greatest, Of(2), greatest | 0x8000), Is.EqualTo(greatest));
            Assert.That(Fused(Infinity, Of(1), greatest), Is.EqualTo(Infinity));
        });
    }

    [Test]
    public void GivesTheOneNaN()
    {
        Assert.Multiple(() =>
        {
            Assert.That(On(PackedHalves.Add<TFormat>, 0xffff, Of(1)), Is.EqualTo(0x7fff));
            Assert.That(On(PackedHalves.Add<TFormat>, Infinity, Infinity | 0x8000), Is.EqualTo(0x7fff));
            Assert.That(On(PackedHalves.Subtract<TFormat>, Infinity << 16, Infinity << 16), Is.EqualTo(0x7fff0000));
            Assert.That(On(PackedHalves.Multiply<TFormat>, Infinity, 0), Is.EqualTo(0x7fff));
            Assert.That(Fused(Infinity, 0, Of(1)), Is.EqualTo(0x7fff));
            Assert.That(Fused(Infinity << 16, Of(1) << 16, (Infinity | 0x8000) << 16), Is.EqualTo(0x7fff0000));
            Assert.That(Fused(Of(1), Of(1), Infinity + 1), Is.EqualTo(0x7fff));
        });
    }

    [Test]
    public void KeepsTheSignOfZero()
    {
        Assert.Multiple(() =>
        {
            Assert.That(On(PackedHalves.Add<TFormat>, 0x8000, 0x80008000), Is.EqualTo(0x8000));
            Assert.That(On(PackedHalves.Subtract<TFormat>, Of(1), Of(1)), Is.Zero);
            Assert.That(On(PackedHalves.Multiply<TFormat>, 0x8000, Of(1)), Is.EqualTo(0x8000));
            Assert.That(On(PackedHalves.Multiply<TFormat>, 1, 0x8001), Is.EqualTo(0x8000));
            Assert.That(Fused(0x8000, Of(1), 0x8000), Is.EqualTo(0x8000));
            Assert.That(Fused(0x8000, Of(1), 0), Is.Zero);
            Assert.That(Fused(Of(1), Of(1), Of(1) | 0x8000), Is.Zero);
            Assert.That(Fused(0x8001, 1, 0), Is.EqualTo(0x8000));
        });
    }

    [Test]
    public void KeepsSubnormals()
    {
        uint leastNormal = 1u << TFormat.FractionBits;
        Assert.Multiple(() =>
        {
            Assert.That(On(PackedHalves.Add<TFormat>, 1, 2), Is.EqualTo(3));
            Assert.That(On(PackedHalves.Subtract<TFormat>, leastNormal, 1), Is.EqualTo(leastNormal - 1));
            Assert.That(On(PackedHalves.Multiply<TFormat>, leastNormal, Of(0.5)), Is.EqualTo(leastNormal / 2));
            Assert.That(Fused(leastNormal, Of(0.5), 1), Is.EqualTo((leastNormal / 2) + 1));
            Assert.That(Fused(1, Of(0.5), 0), Is.Zero, "a tie");
            Assert.That(Fused(3, Of(0.5), 0), Is.EqualTo(2), "a tie");
            Assert.That(Fused(1, Of(0.5), 0x8001), Is.EqualTo(0x8000), "-1/2, a tie");
        });
    }

    // The product is half a step above an even number; what the third operand adds is far below a double's last bit.
    [Test]
    public void TheThirdOperandDecidesATie()
    {
        double step = Math.ScaleB(1, -TFormat.FractionBits);
        uint tie = Of(1 + (step * 8));
        uint other = Of(1 + (Math.ScaleB(1, TFormat.FractionBits - 4) * step));
        ExactNumber product = ExactNumber.Of(Value(tie) * Value(other));
        uint even = product.Round(TFormat.FractionBits, TFormat.Bias);
        double nearest = Value(even);
        double difference = (Value(tie) * Value(other)) - nearest;
        Assert.That(Math.Abs(difference), Is.EqualTo(step / 2), "the product is a tie");
        uint least = 1;

        Assert.Multiple(() =>
        {
            Assert.That(Fused(tie, other, 0), Is.EqualTo(even));
            Assert.That(Fused(tie, other, difference > 0 ? least : least | 0x8000), Is.EqualTo(difference > 0 ? even + 1 : even - 1));
            Assert.That(Fused(tie, other, difference > 0 ? least | 0x8000 : least), Is.EqualTo(even));
        });
    }

    [Test]
    public void DestinationsMayBeSources()
    {
        uint[] words = Words(new Random(8));
        uint[] expected = new uint[Lanes.Count];
        PackedHalves.Fma<TFormat>(words, words, words, expected);

        PackedHalves.Fma<TFormat>(words, words, words, words);

        Assert.That(words, Is.EqualTo(expected));
    }

    private static uint Infinity => (uint)((2 * TFormat.Bias) + 1) << TFormat.FractionBits;

    private static uint Exponents => (Infinity << 16) | Infinity;

    private static void Check(Binary operation, Func<double, double, ExactNumber> exact)
    {
        var random = new Random(4);
        for (int round = 0; round < 3000; round++)
        {
            uint[] a = Words(random);
            uint[] b = Words(random);
            if (round % 2 == 0)
                b = [.. b.Select((word, i) => (word & ~Exponents) | (a[i] & Exponents))];
            uint[] d = new uint[Lanes.Count];
            operation(a, b, d);
            for (int i = 0; i < d.Length; i++)
            {
                for (int shift = 0; shift < 32; shift += 16)
                {
                    uint[] operands = [Half(a[i], shift), Half(b[i], shift)];
                    CheckHalf(exact(Value(operands[0]), Value(operands[1])), Half(d[i], shift), operands);
                }
            }
        }
    }

    // Signs of zeros have their own test.
    private static void CheckHalf(ExactNumber exact, uint actual, uint[] operands)
    {
        uint expected = exact.Round(TFormat.FractionBits, TFormat.Bias);
        if (exact.Units.IsZero)
            actual &= 0x7fff;
        if (actual != expected)
            Assert.Fail($"{string.Join(", ", operands.Select(bits => bits.ToString("x4")))}: {actual:x4} instead of {expected:x4}");
    }

    // Finite numbers of all exponents, signs and fractions.
    private static uint[] Words(Random random)
    {
        uint One() => (uint)random.Next((int)Infinity) | ((uint)random.Next(2) << 15);
        return [.. Enumerable.Range(0, Lanes.Count).Select(_ => (One() << 16) | One())];
    }

    // Both products, so that an addend may be made of nearly their bits; infinite ones are made finite.
    private static uint ProductBits(uint a, uint b)
    {
        uint Bits(int shift)
        {
            uint bits = ExactNumber.Of(Value(Half(a, shift)) * Value(Half(b, shift))).Round(TFormat.FractionBits, TFormat.Bias) ^ 0x8000;
            return (bits & 0x7fff) == Infinity ? bits & 0x8000 : bits;
        }

        return (Bits(16) << 16) | Bits(0);
    }

    private static uint Half(uint word, int shift) => (word >> shift) & 0xffff;

    private static double Value(uint bits) => TFormat.FractionBits == 10
        ? (double)BitConverter.UInt16BitsToHalf((ushort)bits)
        : BitConverter.UInt32BitsToSingle(bits << 16);

    private static uint Of(double value) => ExactNumber.Of(value).Round(TFormat.FractionBits, TFormat.Bias);

    private static uint On(Binary operation, uint a, uint b)
    {
        uint[] d = new uint[Lanes.Count];
        operation(All(a), All(b), d);
        Assert.That(d, Is.All.EqualTo(d[0]));
        return d[0];
    }

    private static uint Fused(uint a, uint b, uint c)
    {
        uint[] d = new uint[Lanes.Count];
        PackedHalves.Fma<TFormat>(All(a), All(b), All(c), d);
        Assert.That(d, Is.All.EqualTo(d[0]));
        return d[0];
    }

    private static uint[] All(uint word) => [.. Enumerable.Repeat(word, Lanes.Count)];
}
