namespace QwenIlgpu.Kernels.Tests;

/// <summary>What one wrong index in a packer would do, done to its source, does not go unnoticed.</summary>
[PortableTiers(PortableTier.Loops, PortableTier.Ptx)]
internal sealed class QuantizationFaultTests(PortableTier tier) : PortableTests(tier)
{
    // [N, K]: K ends inside a tile, and there is a second group.
    private const int N = 37;
    private const int K = 200;

    [Test]
    public void PackersAreRightWithoutAFault() => Assert.That(Packs(), Is.EqualTo((true, true, true)));

    // Rows 2 and 3 of W: words of each octet of k.
    [Test]
    public void PackersAreWrongWithASwappedRow() => Assert.That(
        Packs(words: w => [.. w.Select((_, i) => w[(i % N) switch { 2 => i + 1, 3 => i - 1, _ => i }])]), Is.EqualTo((false, true, true)));

    // The last octet of k holds what stands for zero, as padding does.
    [Test]
    public void PackersAreWrongWithoutTheLastOctet() => Assert.That(
        Packs(words: w => [.. w[..^N], .. Enumerable.Repeat(unchecked((int)0x88888888), N)]), Is.EqualTo((false, true, true)));

    [Test]
    public void PackersAreWrongWithTheScaleOfTheFirstGroup() => Assert.That(
        Packs(scales: s => [.. s.Select((_, i) => s[i % N])]), Is.EqualTo((true, false, true)));

    [Test]
    public void PackersAreWrongWithZerosOfTheOtherVersion() =>
        Assert.That(Packs(version: GptqVersion.V1), Is.EqualTo((true, true, false)));

    // Whether codes, scales and zero points come out as those of GPTQ v2.
    private static (bool Codes, bool Scales, bool Zeros) Packs(
        Func<int[], int[]>? words = null, Func<ushort[], ushort[]>? scales = null, GptqVersion version = GptqVersion.V2)
    {
        Int4Source source = CheckpointFormat.All[1].Random(N, K, 64, WeightType.F16, hasZeros: true);
        WeightMatrix packed = Quantized.PoisonedInt4(Device, N, K, 64, WeightType.F16, hasZeros: true);
        Device.Run(
            GptqPack.Bind(Device.Loader, Device.Upload(words?.Invoke(source.Words) ?? source.Words, K / 8, N), 0, packed),
            GptqPack.BindScales(Device.Loader, Device.Upload(scales?.Invoke(source.Scales) ?? source.Scales, packed.Groups, N), packed),
            GptqPack.BindZeros(Device.Loader, Device.Upload(source.Zeros, packed.Groups, (N + 7) / 8), version, packed));
        Int4Reference expected = Int4SourceReference.GptqV2.Pack(source, N, K, 64);
        Int4Reference actual = Quantized.Download(Device, packed);
        return (
            actual.Codes.AsSpan().SequenceEqual(expected.Codes),
            actual.Scales.AsSpan().SequenceEqual(expected.Scales),
            actual.Zeros.AsSpan().SequenceEqual(expected.Zeros));
    }
}
