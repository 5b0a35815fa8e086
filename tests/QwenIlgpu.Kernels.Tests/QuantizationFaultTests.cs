using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>One wrong index in a packer or a portable matmul does not go unnoticed.</summary>
internal sealed class QuantizationFaultTests : KernelTests
{
    // [N, K]: K ends inside a tile, and there is a second group.
    private const int N = 37;
    private const int K = 200;

    [Test]
    public void MatMulsAreRightWithoutAFault() =>
        Assert.That(Deviations<DequantIndices>(1).Concat(Deviations<DequantIndices>(4)), Has.All.LessThan(1));

    [TestCase(1)]
    [TestCase(4)]
    public void MatMulsAreWrongWithSwappedLanes(int m) => Assert.That(Deviations<SwappedLanes>(m), Has.All.GreaterThan(100));

    [TestCase(1)]
    [TestCase(4)]
    public void MatMulsAreWrongWithTheScaleOfTheNeighbour(int m) => Assert.That(Deviations<NeighboursScale>(m), Has.All.GreaterThan(100));

    [TestCase(1)]
    [TestCase(4)]
    public void MatMulsAreWrongWithoutTheLastK(int m) => Assert.That(Deviations<ShortTail>(m), Has.All.GreaterThan(100));

    [Test]
    public void PackersAreRightWithoutAFault() =>
        Assert.That(PacksAs<GptqWords, ScalesByGroup, GptqV2Zeros>(), Is.EqualTo((true, true, true)));

    [Test]
    public void PackersAreWrongWithASwappedRow() =>
        Assert.That(PacksAs<SwappedRow, ScalesByGroup, GptqV2Zeros>(), Is.EqualTo((false, true, true)));

    [Test]
    public void PackersAreWrongWithoutTheLastOctet() =>
        Assert.That(PacksAs<WithoutLastOctet, ScalesByGroup, GptqV2Zeros>(), Is.EqualTo((false, true, true)));

    [Test]
    public void PackersAreWrongWithTheScaleOfTheFirstGroup() =>
        Assert.That(PacksAs<GptqWords, FirstGroupScale, GptqV2Zeros>(), Is.EqualTo((true, false, true)));

    [Test]
    public void PackersAreWrongWithZerosOfTheOtherVersion() =>
        Assert.That(PacksAs<GptqWords, ScalesByGroup, GptqV1Zeros>(), Is.EqualTo((true, true, false)));

    // Of each portable matmul with those indices, in units of what is allowed.
    private static double[] Deviations<TIndices>(int m)
        where TIndices : struct, IDequantIndices
    {
        float[] x = RandomFloats(m, m * K);
        Matrix<float> xs = Device.Upload(x, m, K);
        Int4Reference wide = Quantized.RandomInt4(N, K, 64, WeightType.F16, hasZeros: true);
        Int4Reference narrow = Quantized.RandomInt4(N, K, 32, WeightType.F16, hasZeros: false);
        Int8Reference bytes = Quantized.RandomInt8(N, K, 64, WeightType.F16);
        ArrayView<byte> none = Device.Upload<byte>();
        Matrix<float>[] ys = [.. Enumerable.Range(0, 3).Select(_ => Device.Poisoned<float>(m, N))];
        Device.Run(
            Device.Loader.Bind(
                DequantMatMulKernel<F16Format, StoredZero, TIndices>.DequantMatMul,
                new DequantMatMulKernel<F16Format, StoredZero, TIndices>(
                    xs, Device.Upload(wide.Codes), Device.Upload(wide.Scales), Device.Upload(wide.Zeros), 64, ys[0])),
            Device.Loader.Bind(
                HalfTileMatMulKernel<Int4HalfTiles<SymmetricZero>, F16Format, TIndices>.HalfTileMatMul,
                new HalfTileMatMulKernel<Int4HalfTiles<SymmetricZero>, F16Format, TIndices>(
                    xs, Device.Upload(narrow.Codes), Device.Upload(narrow.Scales), none, 32, ys[1])),
            Device.Loader.Bind(
                HalfTileMatMulKernel<Int8Tiles, F16Format, TIndices>.HalfTileMatMul,
                new HalfTileMatMulKernel<Int8Tiles, F16Format, TIndices>(
                    xs, Device.Upload(bytes.Codes), Device.Upload(bytes.Scales), none, 64, ys[2])));
        double[][] weights = [wide.Unpack(WeightType.F16), narrow.Unpack(WeightType.F16), bytes.Unpack(WeightType.F16)];
        return [.. ys.Zip(weights, (y, w) => MatMulBound.Deviation(Device.Download(y), ToDouble(x), w, m, N, K))];
    }

    // Whether codes, scales and zero points come out as those of GPTQ v2.
    private static (bool Codes, bool Scales, bool Zeros) PacksAs<TWords, TScales, TZeros>()
        where TWords : struct, IInt4Source
        where TScales : struct, IScaleSource
        where TZeros : struct, IZeroSource
    {
        Int4Source source = CheckpointFormat.All[1].Random(N, K, 64, WeightType.F16, hasZeros: true);
        Int4Matrix packed = Quantized.PoisonedInt4(Device, N, K, 64, WeightType.F16, hasZeros: true);
        Device.Run(
            Int4Pack.BindColumns<TWords>(Device.Loader, "pack", "word", 1, Device.Upload(source.Words, K / 8, N), 0, packed),
            Int4Pack.BindScales<TScales>(Device.Loader, Device.Upload(source.Scales, packed.Groups, N), packed),
            Int4Pack.BindZeros<TZeros>(Device.Loader, "pack", Device.Upload(source.Zeros, packed.Groups, (N + 7) / 8), packed));
        Int4Reference expected = Int4SourceReference.GptqV2.Pack(source, N, K, 64);
        Int4Reference actual = Quantized.Download(Device, packed);
        return (
            actual.Codes.AsSpan().SequenceEqual(expected.Codes),
            actual.Scales.AsSpan().SequenceEqual(expected.Scales),
            actual.Zeros.AsSpan().SequenceEqual(expected.Zeros));
    }
}
