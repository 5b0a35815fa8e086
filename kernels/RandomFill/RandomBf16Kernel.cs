using ILGPU;

namespace QwenIlgpu.Kernels;

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
