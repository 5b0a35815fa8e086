using System.Runtime.InteropServices;
using static QwenIlgpu.Kernels.Tests.KernelTests;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Rows of a projection of 5120 packed from each checkpoint format, and rounded from each storage.</summary>
internal static class PackingSlices
{
    private const int Rows = 48;
    private const int K = 5120;
    private const int Group = 128;

    private static readonly WeightType[] Scales = [WeightType.Bf16, WeightType.F16];

    public static IEnumerable<Slice> All =>
    [
        Pack(0, ["PackInt4Kernel<GptqWords>", "PackScalesKernel<GptqWords>", "PackZerosKernel<GptqV1Words>"]),
        Pack(1, ["PackZerosKernel<GptqWords>"]),
        Pack(2, ["PackInt4Kernel<AwqWords>", "PackZerosKernel<AwqWords>"]),
        Pack(3, ["PackInt4Kernel<CompressedTensorsWords>", "PackScalesKernel<CompressedTensorsWords>", "PackZerosKernel<CompressedTensorsWords>"]),
        .. from type in Enum.GetValues<WeightType>() from scale in Scales select RoundToInt4(type, scale),
        .. from type in Enum.GetValues<WeightType>() from scale in Scales select RoundToInt8(type, scale),
        new(["PackInt4Kernel<Fp4Words>", "PackFp4ScalesKernel"], Fp4),
        new(["PackFp8Kernel", "PackBlockScalesKernel"], PackFp8),
        new("ExpandInt4Kernel", Expand),
    ];

    // Two blocks and a rest, every bit of it.
    private static Slice Pack(int format, string[] kernels) => new(kernels, device =>
    {
        CheckpointFormat checkpoint = CheckpointFormat.All[format];
        Int4Source source = checkpoint.Random(Rows, K, Group, WeightType.F16, hasZeros: true);
        Int4Reference packed = Quantized.Download(
            device, checkpoint.Pack(device, source, Rows, K, Group, WeightType.F16, blockTiles: format == 3 ? 2 : 32));
        return new SliceResult(() =>
        {
            Int4Reference expected = checkpoint.Reference.Pack(source, Rows, K, Group);
            AssertSame(packed, expected);
            Assert.That(packed.Zeros.AsSpan().SequenceEqual(expected.Zeros), "zeros");
        }).Leaving(packed.Codes).Leaving(packed.Scales).Leaving(packed.Zeros);
    });

    private static SliceResult Fp4(TestDevice device)
    {
        var random = new Random(11);
        uint[] words = MemoryMarshal.Cast<int, uint>(Quantized.RandomWords(random, Rows * K / 8)).ToArray();
        var scales = new byte[Rows * K / 16];
        random.NextBytes(scales);
        WeightMatrix destination = Quantized.PoisonedFp4(device, Rows, K);
        device.Run(
            Fp4Pack.Bind(device.Loader, device.Upload(words, Rows, K / 8), 0, destination),
            Fp4Pack.BindScales(device.Loader, device.Upload(scales, Rows, K / 16), 16, 0.3f, destination));
        (UInt4[] codes, ushort[] slots) = (device.Download(destination.Data), device.Download(destination.Scales));
        return new SliceResult(() =>
        {
            var expected = Fp4Reference.Pack(words, scales, 16, 0.3f, Rows, K);
            Assert.That(codes.AsSpan().SequenceEqual(expected.Codes), "codes");
            Assert.That(slots.AsSpan().SequenceEqual(expected.Scales), "scales");
        }).Leaving(codes).Leaving(slots);
    }

    private static Slice RoundToInt4(WeightType type, WeightType scale) => new($"RoundToNearestInt4Kernel<{type}Weights, {scale}Format>", device =>
    {
        UInt4[] words = Words(type);
        WeightMatrix destination = Quantized.PoisonedInt4(device, Rows, K, Group, scale, hasZeros: false);
        device.Run(RoundToNearestInt4.Bind(device.Loader, WeightMatrix.Dense(type, device.Upload(words), Rows, K), 0, destination));
        Int4Reference packed = Quantized.Download(device, destination);
        return new SliceResult(() => AssertSame(
            packed, Int4Reference.FromWeights(DenseReference.Unpack(type, words, Rows, K), Rows, K, Group, scale)))
            .Leaving(packed.Codes).Leaving(packed.Scales);
    });

    private static Slice RoundToInt8(WeightType type, WeightType scale) => new($"RoundToNearestInt8Kernel<{type}Weights, {scale}Format>", device =>
    {
        UInt4[] words = Words(type);
        WeightMatrix destination = Quantized.PoisonedInt8(device, Rows, K, Group, scale);
        device.Run(RoundToNearestInt8.Bind(device.Loader, WeightMatrix.Dense(type, device.Upload(words), Rows, K), 0, destination));
        (UInt4[] codes, ushort[] scales) = (device.Download(destination.Data), device.Download(destination.Scales));
        return new SliceResult(() =>
        {
            Int8Reference expected = Int8Reference.FromWeights(DenseReference.Unpack(type, words, Rows, K), Rows, K, Group, scale);
            Assert.That(codes.AsSpan().SequenceEqual(expected.Codes), "codes");
            Assert.That(scales.AsSpan().SequenceEqual(expected.Scales), "scales");
        }).Leaving(codes).Leaving(scales);
    });

    // Codes of two blocks of rows, scales of blocks of 128 x 128, the last of 48 rows.
    private static SliceResult PackFp8(TestDevice device)
    {
        var codes = new byte[Rows * K];
        new Random(6).NextBytes(codes);
        float[] scales = Seeded.Floats(7, K / 128);
        WeightMatrix destination = Quantized.PoisonedFp8(device, Rows, K, Group);
        uint[] words = MemoryMarshal.Cast<byte, uint>(codes).ToArray();
        device.Run(Fp8Pack.Bind(device.Loader, device.Upload(words[..(32 * K / 4)], 32, K / 4), 0, destination));
        device.Run(Fp8Pack.Bind(device.Loader, device.Upload(words[(32 * K / 4)..], Rows - 32, K / 4), 32, destination));
        device.Run(Fp8Pack.BindScales(device.Loader, device.Upload(scales, 1, K / 128), 128, 128, destination));
        (UInt4[] packed, ushort[] placed) = (device.Download(destination.Data), device.Download(destination.Scales));
        return new SliceResult(() =>
        {
            Fp8Reference expected = Fp8Reference.Pack(codes, Rows, K, Group, scales, 128, 128);
            Assert.That(packed.AsSpan().SequenceEqual(expected.Codes), "codes");
            Assert.That(MemoryMarshal.Cast<ushort, float>(placed).SequenceEqual(expected.Scales), "scales");
        }).Leaving(packed).Leaving(placed);
    }

    // One product and one rounding each: the bits are given.
    private static SliceResult Expand(TestDevice device)
    {
        Int4Reference packed = Quantized.RandomInt4(Rows, K, Group, WeightType.Bf16, hasZeros: false);
        var expanded = WeightMatrix.Dense(WeightType.Bf16, device.Poisoned<UInt4>(DenseLayout.Bytes(WeightType.Bf16, 16, K) / 16), 16, K);
        device.Run(ExpandInt4.Bind(device.Loader, Quantized.Upload(device, packed, WeightType.Bf16), 17, expanded));
        UInt4[] words = device.Download(expanded.Data);
        return new SliceResult(() =>
        {
            ushort[] expected = [.. packed.Unpack(WeightType.Bf16).Skip(17 * K).Take(16 * K).Select(w => Bf16.FromFloat((float)w))];
            Assert.That(MemoryMarshal.Cast<UInt4, ushort>(words.AsSpan()).SequenceEqual(expected));
        }).Leaving(words);
    }

    private static UInt4[] Words(WeightType type) => DenseReference.Pack(type, Seeded.Floats(1, Rows * K), Rows, K);

    private static void AssertSame(Int4Reference actual, Int4Reference expected)
    {
        Assert.That(actual.Codes.AsSpan().SequenceEqual(expected.Codes), "codes");
        Assert.That(actual.Scales.AsSpan().SequenceEqual(expected.Scales), "scales");
    }
}
