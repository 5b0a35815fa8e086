namespace QwenIlgpu.Kernels.Tests;

/// <summary>One wrong index in a packer does not go unnoticed.</summary>
[PortableTiers(PortableTier.Loops, PortableTier.Ptx)]
internal sealed class QuantizationFaultTests(PortableTier tier) : PortableTests(tier)
{
    // [N, K]: K ends inside a tile, and there is a second group.
    private const int N = 37;
    private const int K = 200;

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
