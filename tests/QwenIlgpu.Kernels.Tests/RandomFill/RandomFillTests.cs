using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

[PortableTiers(PortableTier.Loops, PortableTier.Ptx)]
internal sealed class RandomFillTests(PortableTier tier) : PortableTests(tier)
{
    [TestCase(16, 128)]
    [TestCase(208, 1280)]
    public void Int4CodesDependOnSeedAndPlaceAlone(int rows, int columns)
    {
        UInt4[] filled = FilledCodes(rows, columns, seed: 7);

        Assert.That(filled, Is.EqualTo(FilledCodes(rows, columns, seed: 7)));
        Assert.That(FilledCodes(rows * 2, columns, seed: 7).AsSpan(0, filled.Length).ToArray(), Is.EqualTo(filled), "a longer matrix begins alike");
        Assert.That(filled.Zip(FilledCodes(rows, columns, seed: 8)).Count(p => p.First.Equals(p.Second)), Is.Zero);
        Assert.That(filled.Distinct().Count(), Is.EqualTo(filled.Length));
    }

    [Test]
    public void Int4CodesAreSymmetricWithTheStatedDeviation()
    {
        const int Count = 208 * 1280;

        int[] codes = [.. FilledCodes(208, 1280, seed: 3).SelectMany(w => new[] { w.X, w.Y, w.Z, w.W })
            .SelectMany(w => Enumerable.Range(0, 8).Select(n => (int)((w >> (4 * n)) & 15) - 8))];

        Assert.That(codes.Min(), Is.EqualTo(-7));
        Assert.That(codes.Max(), Is.EqualTo(7));
        Assert.That(codes.Average(), Is.Zero.Within(5 * RandomFill.Int4Deviation / Math.Sqrt(Count)));
        Assert.That(Math.Sqrt(codes.Average(c => (double)c * c)), Is.EqualTo(RandomFill.Int4Deviation).Within(1).Percent);
        Assert.That(codes.Count(c => c == 0), Is.EqualTo(Count / 8).Within(3).Percent);
    }

    [Test]
    public void Int8CodesHaveTheStatedDeviation()
    {
        const int Group = 128;
        WeightMatrix w = Quantized.PoisonedInt8(Device, 64, 512, Group, WeightType.Bf16);

        Device.Run(RandomFill.BindCodes(Device.Loader, w, 11));

        sbyte[] codes = System.Runtime.InteropServices.MemoryMarshal.Cast<UInt4, sbyte>(Device.Download(w.Data).AsSpan()).ToArray();
        Assert.That(Math.Sqrt(codes.Average(c => (double)c * c)), Is.EqualTo(RandomFill.Int8Deviation).Within(1).Percent);
    }

    [TestCase(0f, 0.25f)]
    [TestCase(0.02f, 0.005f)]
    public void Bf16ValuesAreUniform(float centre, float halfWidth)
    {
        ArrayView<UInt4> words = Device.Poisoned<UInt4>(4099);

        Device.Run(RandomFill.BindBf16(Device.Loader, words, 5, centre, halfWidth));

        double[] values = [.. System.Runtime.InteropServices.MemoryMarshal.Cast<UInt4, ushort>(Device.Download(words).AsSpan()).ToArray().Select(b => (double)Bf16.ToFloat(b))];
        double slack = Math.Abs(centre + halfWidth) / 256;                // half a bf16 step, and more
        Assert.That(values.Min(), Is.EqualTo(centre - halfWidth).Within(slack + (halfWidth / 500)));
        Assert.That(values.Max(), Is.EqualTo(centre + halfWidth).Within(slack + (halfWidth / 500)));
        Assert.That(values.Average(), Is.EqualTo(centre).Within(halfWidth / 50));
        Assert.That(Math.Sqrt(values.Average(v => Math.Pow(v - centre, 2))), Is.EqualTo(halfWidth / Math.Sqrt(3)).Within(2).Percent);
    }

    [Test]
    public void RejectsAMatrixWithPaddedColumns()
    {
        const int Group = 128;
        WeightMatrix w = Quantized.PoisonedInt4(Device, 16, 136, Group, WeightType.Bf16, hasZeros: false);

        Assert.That(
            () => RandomFill.BindCodes(Device.Loader, w, 1),
            Throws.ArgumentException.With.Message.EqualTo("random_fill: columns of w are 136, no multiple of its group size 128"));
    }

    [Test]
    public void CeilingKernelsReadAndCopyEveryWord()
    {
        UInt4[] source = [.. Enumerable.Range(0, 8 * 67).Select(i => new UInt4((uint)i, uint.MaxValue, uint.MaxValue, uint.MaxValue))];
        ArrayView<UInt4> words = Device.Upload(source);
        ArrayView<UInt4> target = Device.Poisoned<UInt4>(source.Length);
        ArrayView<uint> sums = Device.Poisoned<uint>(source.Length / ReadWordsKernel.WordsPerItem);

        Device.Run(
            Device.Loader.Bind(CopyWordsKernel.CopyWords, new CopyWordsKernel(words, target)),
            Device.Loader.Bind(ReadWordsKernel.ReadWords, new ReadWordsKernel(words, sums)));

        Assert.That(Device.Download(target), Is.EqualTo(source));
        Assert.That(Device.Download(sums).Sum(s => (long)s), Is.EqualTo(source.Sum(w => (long)w.X)));
    }

    private static UInt4[] FilledCodes(int rows, int columns, ulong seed)
    {
        const int Group = 128;
        WeightMatrix w = Quantized.PoisonedInt4(Device, rows, columns, Group, WeightType.Bf16, hasZeros: false);
        Device.Run(RandomFill.BindCodes(Device.Loader, w, seed));
        return Device.Download(w.Data);
    }
}
