using ILGPU;

namespace QwenIlgpu.Kernels;

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
