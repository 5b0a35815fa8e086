namespace QwenIlgpu.Kernels;

/// <summary>
/// One value out of the 32 of a warp, the same bits in every lane: pairs at distance 16, 8, 4, 2, 1, whose two operands commute.
/// </summary>
internal static class WarpReduce
{
    public static float Sum(float value)
    {
        value += WarpShuffle.Xor(value, 16);
        value += WarpShuffle.Xor(value, 8);
        value += WarpShuffle.Xor(value, 4);
        value += WarpShuffle.Xor(value, 2);
        return value + WarpShuffle.Xor(value, 1);
    }

    public static int Sum(int value)
    {
        value += WarpShuffle.Xor(value, 16);
        value += WarpShuffle.Xor(value, 8);
        value += WarpShuffle.Xor(value, 4);
        value += WarpShuffle.Xor(value, 2);
        return value + WarpShuffle.Xor(value, 1);
    }

    /// <summary>No value may be NaN.</summary>
    public static float Max(float value)
    {
        value = Larger(value, WarpShuffle.Xor(value, 16));
        value = Larger(value, WarpShuffle.Xor(value, 8));
        value = Larger(value, WarpShuffle.Xor(value, 4));
        value = Larger(value, WarpShuffle.Xor(value, 2));
        return Larger(value, WarpShuffle.Xor(value, 1));
    }

    /// <summary>The sum over the four lanes 4g … 4g + 3, which share a row of an mma fragment.</summary>
    public static float SumOfFour(float value)
    {
        value += WarpShuffle.Xor(value, 2);
        return value + WarpShuffle.Xor(value, 1);
    }

    /// <summary>The least of eight values, which four neighbouring lanes each have, as the rows of an mma fragment do. None may be NaN.</summary>
    public static float MinOfRows(float value)
    {
        value = Smaller(value, WarpShuffle.Xor(value, 16));
        value = Smaller(value, WarpShuffle.Xor(value, 8));
        return Smaller(value, WarpShuffle.Xor(value, 4));
    }

    private static float Smaller(float a, float b) => a < b ? a : b;

    private static float Larger(float a, float b) => a > b ? a : b;
}
