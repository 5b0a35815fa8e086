using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The shares that pack weights write the bits of the plain loops, whatever the weights and however many threads there are.</summary>
internal sealed class PackingShareTests : KernelTests
{
    private const int Rows = 53;
    private const int Columns = 200;

    [SetUp]
    public void NeedsShares() => Assume.That(TestDevice.Kind == "cpu" && CpuVectors.AreSupported, "shares need AVX2 and FMA");

    [TearDown]
    public void ChooseNone() => Device.UsesShares = false;

    private static IEnumerable<TestCaseData> Roundings() =>
        from type in Enum.GetValues<WeightType>()
        from groupSize in new[] { 32, 64, 128 }
        from threads in new[] { 1, 2, 3 }
        select new TestCaseData(type, groupSize, threads);

    [TestCaseSource(nameof(Roundings))]
    public void RoundsToInt4AsThePlainLoopDoes(object type, int groupSize, int threads)
    {
        UInt4[] words = OddWeights((WeightType)type);

        AssertSame(threads, () => BindInt4((WeightType)type, words, groupSize));
    }

    [TestCaseSource(nameof(Roundings))]
    public void RoundsToInt8AsThePlainLoopDoes(object type, int groupSize, int threads)
    {
        UInt4[] words = OddWeights((WeightType)type);

        AssertSame(threads, () => BindInt8((WeightType)type, words, groupSize));
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public void PacksGptqAsThePlainLoopDoes(int threads)
    {
        int[] qweight = Quantized.RandomWords(new Random(3), Rows * Columns / 8);
        ushort[] scales = [.. Quantized.RandomWords(new Random(4), Rows * 2).Select(w => (ushort)w)];

        AssertSame(threads, () => BindGptq(qweight));
        AssertSame(threads, () =>
        {
            WeightMatrix packed = PoisonedInt4(128);
            return new Packing(GptqPack.BindScales(Device.Loader, Device.Upload(scales, 2, Rows), packed), packed.Data, packed.Scales);
        });
    }

    [TestCase(1)]
    [TestCase(3)]
    public void PacksRowsOfWordsAsThePlainLoopDoes(int threads)
    {
        int[] words = Quantized.RandomWords(new Random(5), Rows * Columns / 8);

        AssertSame(threads, () => BindCompressedTensors(words));
        AssertSame(threads, () => BindFp4(words, 12, Rows));
        AssertSame(threads, () => BindFp4(words, 4, Rows));
    }

    [TestCase(2)]
    [TestCase(3)]
    public void PacksFp8AsThePlainLoopDoes(int threads)
    {
        uint[] words = [.. Quantized.RandomWords(new Random(5), Rows * Columns / 4).Select(w => (uint)w)];

        AssertSame(threads, () => BindFp8(words));
    }

    // What an index that is off by half a tile, or by an octet, would make of the operands.
    [Test]
    public void RowsOfTheOtherHalfOfATileShow()
    {
        UInt4[] words = OddWeights(WeightType.Bf16);
        UInt4[] swapped = [.. words];
        const int RowWords = Columns / 8;
        words.AsSpan(0, RowWords).CopyTo(swapped.AsSpan(8 * RowWords));
        words.AsSpan(8 * RowWords, RowWords).CopyTo(swapped);
        int[] qweight = Quantized.RandomWords(new Random(3), Rows * Columns / 8);
        int[] shifted = [.. qweight[Rows..], .. qweight[..Rows]];

        Assert.That(Pack(BindInt4(WeightType.Bf16, swapped, 128)), Is.Not.EqualTo(Pack(BindInt4(WeightType.Bf16, words, 128))));
        Assert.That(Pack(BindInt8(WeightType.Bf16, swapped, 128)), Is.Not.EqualTo(Pack(BindInt8(WeightType.Bf16, words, 128))));
        uint[] rows = [.. Quantized.RandomWords(new Random(5), Rows * Columns / 4).Select(w => (uint)w)];
        uint[] exchanged = [.. rows[(8 * Columns / 4)..(16 * Columns / 4)], .. rows[..(8 * Columns / 4)], .. rows[(16 * Columns / 4)..]];

        Assert.That(Pack(BindFp8(exchanged)), Is.Not.EqualTo(Pack(BindFp8(rows))));
        Assert.That(Pack(BindGptq(shifted)), Is.Not.EqualTo(Pack(BindGptq(qweight))));
    }

    private static void AssertSame(int threads, Func<Packing> bind)
    {
        Device.UsesShares = false;
        byte[] expected = Pack(bind());
        Device.UsesShares = true;
        Packing packing = bind();
        for (int thread = 0; thread < threads; thread++)
            packing.Launch.CpuPart!(thread, threads);
        Assert.That(Download(packing), Is.EqualTo(expected));
    }

    private static byte[] Pack(Packing packing)
    {
        Device.Run(packing.Launch);
        return Download(packing);
    }

    private static byte[] Download(Packing packing) =>
        [.. Device.Download(packing.Codes.Cast<byte>()), .. Device.Download(packing.Scales.Cast<byte>())];

    private static Packing BindInt4(WeightType type, UInt4[] words, int groupSize)
    {
        WeightMatrix packed = PoisonedInt4(groupSize);
        var weights = WeightMatrix.Dense(type, Device.Upload(words), Rows, Columns);
        return new Packing(RoundToNearestInt4.Bind(Device.Loader, weights, 0, packed), packed.Data, packed.Scales);
    }

    private static Packing BindInt8(WeightType type, UInt4[] words, int groupSize)
    {
        WeightMatrix packed = Quantized.PoisonedInt8(Device, Rows, Columns, groupSize, WeightType.F16);
        var weights = WeightMatrix.Dense(type, Device.Upload(words), Rows, Columns);
        return new Packing(RoundToNearestInt8.Bind(Device.Loader, weights, 0, packed), packed.Data, packed.Scales);
    }

    private static Packing BindGptq(int[] qweight)
    {
        WeightMatrix packed = PoisonedInt4(128);
        return new Packing(GptqPack.Bind(Device.Loader, Device.Upload(qweight, Columns / 8, Rows), 0, packed), packed.Data, packed.Scales);
    }

    private static Packing BindCompressedTensors(int[] words)
    {
        WeightMatrix packed = PoisonedInt4(128);
        Matrix<int> block = Device.Upload(words, Rows, Columns / 8);
        return new Packing(CompressedTensorsPack.Bind(Device.Loader, block, 0, packed), packed.Data, packed.Scales);
    }

    // So many groups of 16 a row.
    private static Packing BindFp4(int[] words, int groups, int rows)
    {
        WeightMatrix packed = Quantized.PoisonedFp4(Device, rows, 16 * groups);
        Matrix<int> block = Device.Upload(words[..(rows * 2 * groups)], rows, 2 * groups);
        var bits = new Matrix<uint>(block.Data.Cast<uint>(), block.Rows, block.Columns);
        return new Packing(Fp4Pack.Bind(Device.Loader, bits, 0, packed), packed.Data, packed.Scales);
    }

    private static Packing BindFp8(uint[] words)
    {
        WeightMatrix packed = Quantized.PoisonedFp8(Device, Rows, Columns, 128);
        return new Packing(Fp8Pack.Bind(Device.Loader, Device.Upload(words, Rows, Columns / 4), 0, packed), packed.Data, packed.Scales);
    }

    private static WeightMatrix PoisonedInt4(int groupSize) => Quantized.PoisonedInt4(Device, Rows, Columns, groupSize, WeightType.Bf16, hasZeros: false);

    // Every size of magnitude, zeros, halves of a step, NaN and infinities.
    private static UInt4[] OddWeights(WeightType type)
    {
        float[] weights = Seeded.Floats(7, Rows * Columns, 30);
        for (int i = 0; i < weights.Length; i += 3)
            weights[i] *= MathF.Pow(2, (i % 40) - 30);
        weights[5] = float.NaN;
        weights[Columns + 7] = float.PositiveInfinity;
        weights[(9 * Columns) + 150] = float.NegativeInfinity;
        weights.AsSpan(4 * Columns, Columns).Clear();
        weights.AsSpan(6 * Columns, 64).Fill(2.5f);
        weights[6 * Columns] = 7.5f;
        return DenseReference.Pack(type, weights, Rows, Columns);
    }

    private sealed record Packing(Launch Launch, ArrayView<UInt4> Codes, ArrayView<ushort> Scales);
}
