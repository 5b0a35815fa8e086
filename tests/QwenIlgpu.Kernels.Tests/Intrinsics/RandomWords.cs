namespace QwenIlgpu.Kernels.Tests;

/// <summary>Seeded words of every kind: any bits; floats and pairs of halves of usual size; the ends of their ranges and what is none.</summary>
internal static class RandomWords
{
    // Of f32, f16, bf16 and integers: zeros, ones, subnormals and their ends, the largest, infinities, NaN of several kinds.
    private static readonly uint[] Special =
    [
        0, 0x80000000, 1, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800000, 0x3f800000, 0xbf800000, 0x3f7fffff, 0x7f7fffff,
        0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff, 0x7fffffff, 0xc2fc0000, 0x42fe0000, 0x43000000,
        0xc3160000, 0x477ff000, 0x33800000,
    ];

    private static readonly ushort[] SpecialHalves =
    [
        0, 0x8000, 1, 0x8001, 0x3ff, 0x400, 0x3c00, 0xbc00, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7c01, 0x7e00, 0xfe01, 0x7f, 0x80, 0x3f80,
        0xbf80, 0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7f81, 0x7fc1, 0x7fff, 0xffff,
    ];

    public static uint[] Of(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => Next(random))];
    }

    private static uint Next(Random random) => random.Next(6) switch
    {
        0 => Special[random.Next(Special.Length)],
        1 => SpecialHalves[random.Next(SpecialHalves.Length)] | ((uint)SpecialHalves[random.Next(SpecialHalves.Length)] << 16),
        2 => BitConverter.SingleToUInt32Bits((random.NextSingle() - 0.5f) * 64),
        3 => (uint)((0x3a00 + random.Next(0x600)) | ((0x3a00 + random.Next(0x600)) << 16)) ^ (random.Next(2) == 0 ? 0x8000u : 0x80000000u),
        _ => (uint)random.NextInt64(1L << 32),
    };
}
