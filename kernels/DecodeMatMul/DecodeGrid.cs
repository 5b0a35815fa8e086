namespace QwenIlgpu.Kernels;

/// <summary>How many groups share units of work out. It decides which group takes which unit, and no bit of a result.</summary>
internal static class DecodeGrid
{
    private const int GroupsPerMultiprocessor = 2;

    /// <summary>No more than run at once, and each with the same number of units or one less.</summary>
    public static int Groups(int units, int splits, int multiprocessors)
    {
        int atOnce = Math.Max(multiprocessors * GroupsPerMultiprocessor / splits, 1);
        int rounds = (units + atOnce - 1) / atOnce;
        return rounds == 0 ? 0 : (units + rounds - 1) / rounds;
    }
}
