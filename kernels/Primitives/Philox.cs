namespace QwenIlgpu.Kernels;

/// <summary>
/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): ten rounds turn a 128-bit counter and a 64-bit key
/// into 128 random bits. It has no state, so a draw depends on its seed and its index alone.
/// </summary>
internal static class Philox
{
    private const int Rounds = 10;

    public static UInt4 Block(UInt4 counter, uint keyLow, uint keyHigh)
    {
        uint x = counter.X, y = counter.Y, z = counter.Z, w = counter.W;
        for (int round = 0; round < Rounds; round++)
        {
            ulong first = 0xD2511F53UL * x;
            ulong second = 0xCD9E8D57UL * z;
            x = (uint)(second >> 32) ^ y ^ keyLow;
            z = (uint)(first >> 32) ^ w ^ keyHigh;
            y = (uint)second;
            w = (uint)first;
            keyLow += 0x9E3779B9u;
            keyHigh += 0xBB67AE85u;
        }

        return new UInt4(x, y, z, w);
    }

    /// <summary>Uniform in [0, 1) with 53 bits: draw number <paramref name="index"/> of a 64-bit seed.</summary>
    public static double Uniform(uint seedLow, uint seedHigh, int index)
    {
        UInt4 bits = Block(new UInt4((uint)index, 0, 0, 0), seedLow, seedHigh);
        ulong mantissa = ((ulong)(bits.X >> 5) << 26) | (bits.Y >> 6);
        return mantissa * (1.0 / (1L << 53));
    }
}
