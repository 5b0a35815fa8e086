namespace QwenIlgpu.Kernels;

/// <summary>
/// Scores of eight heads and sixteen keys of one warp as accumulators of m16n8k16, rows 0 … 7 with the queries' upper halves and rows
/// 8 … 15 with their lower halves. Keys 0 … 7 and 8 … 15 each have two chains of sums, so that half as many steps wait for one another.
/// </summary>
internal readonly struct DecodeScores(Float4 low0, Float4 low1, Float4 high0, Float4 high1)
{
    private readonly Float4 low0 = low0;
    private readonly Float4 low1 = low1;
    private readonly Float4 high0 = high0;
    private readonly Float4 high1 = high1;

    /// <summary>Head g with key 2t.</summary>
    public float Key0 => (low0.X + low1.X) + (low0.Z + low1.Z);

    /// <summary>Head g with key 2t + 1.</summary>
    public float Key1 => (low0.Y + low1.Y) + (low0.W + low1.W);

    /// <summary>Head g with key 2t + 8.</summary>
    public float Key8 => (high0.X + high1.X) + (high0.Z + high1.Z);

    /// <summary>Head g with key 2t + 9.</summary>
    public float Key9 => (high0.Y + high1.Y) + (high0.W + high1.W);

    /// <summary>
    /// Adds 32 dimensions, eight in each lane position t. upper, lower: head g's query as two bf16 whose sum it is; k0, k8: keys g
    /// and g + 8. Sums do not ask for the order of the dimensions, only for the same one on both sides.
    /// </summary>
    public DecodeScores Add(UInt4 upper, UInt4 lower, UInt4 k0, UInt4 k8)
    {
        DecodeScores sums = this;
        for (int step = 0; step < 2; step++)
        {
            var a = new UInt4(upper.X, lower.X, upper.Y, lower.Y);
            sums = new DecodeScores(
                sums.low1, Mma.Bf16(a, new UInt2(k0.X, k0.Y), sums.low0), sums.high1, Mma.Bf16(a, new UInt2(k8.X, k8.Y), sums.high0));
            upper = Swapped(upper);
            lower = Swapped(lower);
            k0 = Swapped(k0);
            k8 = Swapped(k8);
        }

        return sums;
    }

    private static UInt4 Swapped(UInt4 word) => new(word.Z, word.W, word.X, word.Y);
}
