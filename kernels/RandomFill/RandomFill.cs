using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Seeded random contents for weights that no file holds. A 16-byte word depends on the seed and its index alone, so that what one device
/// fills another repeats.
/// </summary>
internal static class RandomFill
{
    private const string Op = "random_fill";

    /// <summary>
    /// Standard deviation of code − 8 of <see cref="BindCodes(KernelLoader, WeightMatrix, ulong)"/>: −7 … 7 alike, 0 twice as often.
    /// </summary>
    public static double Int4Deviation { get; } = Math.Sqrt(280.0 / 16);

    /// <summary>Standard deviation of an INT8 code: −128 … 127 alike.</summary>
    public static double Int8Deviation { get; } = Math.Sqrt(((256.0 * 256.0) - 1) / 12);

    /// <summary>Fills a quantised matrix's codes; every row must end with a whole group, padding being no place for random codes.</summary>
    public static Launch BindCodes(KernelLoader loader, WeightMatrix w, ulong seed)
    {
        w.Check(Op, "w");
        Require.That(Op, w.Format is WeightFormat.Int4 or WeightFormat.Int8, $"w is {w}, which has no integers as codes");
        Require.That(Op, w.Columns % w.GroupSize == 0, $"columns of w are {w.Columns}, no multiple of its group size {w.GroupSize}");
        Require.That(Op, w.Data.Length <= int.MaxValue, $"{w.Data.Length} words, at most {int.MaxValue}");
        uint lowestNibbleBits = w.Format == WeightFormat.Int4 ? RandomCodesKernel.LowestNibbleBits : 0;
        return loader.Bind(
            RandomCodesKernel.RandomCodes, new RandomCodesKernel(w.Data, (uint)seed, (uint)(seed >> 32), lowestNibbleBits));
    }

    /// <summary>Fills 16-byte words with eight bf16 each, uniform in [centre − halfWidth, centre + halfWidth].</summary>
    public static Launch BindBf16(KernelLoader loader, ArrayView<UInt4> words, ulong seed, float centre, float halfWidth)
    {
        Require.That(Op, words.Length <= int.MaxValue, $"{words.Length} words, at most {int.MaxValue}");
        return loader.Bind(
            RandomBf16Kernel.RandomBf16, new RandomBf16Kernel(words, (uint)seed, (uint)(seed >> 32), centre, halfWidth));
    }

    /// <summary>Floats uniform in [centre − halfWidth, centre + halfWidth), drawn on the host: for vectors, which are short.</summary>
    public static float[] Floats(int count, ulong seed, float centre, float halfWidth)
    {
        var values = new float[count];
        for (int i = 0; i < count; i++)
            values[i] = (float)(centre + (halfWidth * ((2 * Philox.Uniform((uint)seed, (uint)(seed >> 32), i)) - 1)));
        return values;
    }
}

/// <summary>words: eight bf16 each, uniform on a grid of 2^16 values in [centre − halfWidth, centre + halfWidth]; word i from Philox(seed, i).</summary>
internal readonly struct RandomBf16Kernel(ArrayView<UInt4> words, uint seedLow, uint seedHigh, float centre, float halfWidth) : IPortableKernel
{
    public int Items => words.IntLength;

    public static void RandomBf16(Index1D thread, int threads, RandomBf16Kernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        UInt4 bits = Philox.Block(new UInt4((uint)item, 0, 0, 0), seedLow, seedHigh);
        words[item] = new UInt4(Pair(bits.X), Pair(bits.Y), Pair(bits.Z), Pair(bits.W));
    }

    private uint Pair(uint bits) => Value(bits & 0xffffu) | ((uint)Value(bits >> 16) << 16);

    private ushort Value(uint bits) => Bf16.FromFloat(centre + (halfWidth * (((int)bits - 32767.5f) * (1f / 32768f))));
}

/// <summary>
/// codes: 16-byte words, word i = Philox(seed, i). With <see cref="LowestNibbleBits"/> a code of 0 becomes 8: then the four-bit codes less
/// 8 are symmetric about 0, where a mean of −½ would grow through the layers. With 0 all bits stay as drawn.
/// </summary>
internal readonly struct RandomCodesKernel(ArrayView<UInt4> codes, uint seedLow, uint seedHigh, uint lowestNibbleBits) : IPortableKernel
{
    /// <summary>The lowest bit of each of eight codes.</summary>
    public const uint LowestNibbleBits = 0x11111111u;

    public int Items => codes.IntLength;

    public static void RandomCodes(Index1D thread, int threads, RandomCodesKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        UInt4 bits = Philox.Block(new UInt4((uint)item, 0, 0, 0), seedLow, seedHigh);
        codes[item] = new UInt4(Without0(bits.X), Without0(bits.Y), Without0(bits.Z), Without0(bits.W));
    }

    private uint Without0(uint word)
    {
        uint any = word | (word >> 1) | (word >> 2) | (word >> 3);
        return word | ((~any & lowestNibbleBits) << 3);
    }
}
