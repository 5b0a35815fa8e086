namespace QwenIlgpu.Kernels;

/// <summary>Sums of weighted values of one warp: up to 256 dimensions of eight heads.</summary>
internal readonly struct DecodeOutput(DecodeOutputSlice s0, DecodeOutputSlice s1, DecodeOutputSlice s2, DecodeOutputSlice s3)
{
    public readonly DecodeOutputSlice S0 = s0;
    public readonly DecodeOutputSlice S1 = s1;
    public readonly DecodeOutputSlice S2 = s2;
    public readonly DecodeOutputSlice S3 = s3;

    public DecodeOutput Scaled(float even, float odd) =>
        new(S0.Scaled(even, odd), S1.Scaled(even, odd), S2.Scaled(even, odd), S3.Scaled(even, odd));
}

/// <summary>
/// 64 dimensions of eight heads as accumulators of m16n8k16. Lane l = 4g + t holds dimensions 8g … 8g + 7 of heads 2t and 2t + 1: of each
/// field the even dimension for both heads, then the odd one.
/// </summary>
internal readonly struct DecodeOutputSlice(Float4 d0, Float4 d2, Float4 d4, Float4 d6)
{
    public readonly Float4 D0 = d0;
    public readonly Float4 D2 = d2;
    public readonly Float4 D4 = d4;
    public readonly Float4 D6 = d6;

    /// <summary>Head 2t's dimensions 8g … 8g + 3.</summary>
    public Float4 EvenLow => new(D0.X, D0.Z, D2.X, D2.Z);

    /// <summary>Head 2t's dimensions 8g + 4 … 8g + 7.</summary>
    public Float4 EvenHigh => new(D4.X, D4.Z, D6.X, D6.Z);

    /// <summary>Head (2t + 1)'s dimensions 8g … 8g + 3.</summary>
    public Float4 OddLow => new(D0.Y, D0.W, D2.Y, D2.W);

    /// <summary>Head (2t + 1)'s dimensions 8g + 4 … 8g + 7.</summary>
    public Float4 OddHigh => new(D4.Y, D4.W, D6.Y, D6.W);

    public DecodeOutputSlice Scaled(float even, float odd) =>
        new(Scaled(D0, even, odd), Scaled(D2, even, odd), Scaled(D4, even, odd), Scaled(D6, even, odd));

    /// <summary>
    /// Adds sixteen keys. v0, v1, v8, v9: dimensions 8g … 8g + 7 of keys 2t, 2t + 1, 2t + 8 and 2t + 9 in bf16; upper and lower: the
    /// weights of these keys for head g, as B of an m16n8k16 step, in two bf16 whose sum is the weight.
    /// </summary>
    public DecodeOutputSlice Add(UInt4 v0, UInt4 v1, UInt4 v8, UInt4 v9, UInt2 upper, UInt2 lower)
    {
        DecodeOutputSlice sums = this;
        for (int pair = 0; pair < 4; pair++)
        {
            UInt4 a = KeyPairs(v0.X, v1.X, v8.X, v9.X);
            sums = new DecodeOutputSlice(sums.D2, sums.D4, sums.D6, Mma.Bf16(a, lower, Mma.Bf16(a, upper, sums.D0)));
            v0 = Turned(v0);
            v1 = Turned(v1);
            v8 = Turned(v8);
            v9 = Turned(v9);
        }

        return sums;
    }

    /// <summary>
    /// The same of operands that are pairs of keys already. v0: dimensions 8g … 8g + 7 of keys 2t and 2t + 1; v8: of keys 2t + 8 and 2t + 9.
    /// </summary>
    public DecodeOutputSlice Add(OperandEight v0, OperandEight v8, UInt2 upper, UInt2 lower) => new(
        Added(D0, v0.Low.X, v0.Low.Y, v8.Low.X, v8.Low.Y, upper, lower), Added(D2, v0.Low.Z, v0.Low.W, v8.Low.Z, v8.Low.W, upper, lower),
        Added(D4, v0.High.X, v0.High.Y, v8.High.X, v8.High.Y, upper, lower),
        Added(D6, v0.High.Z, v0.High.W, v8.High.Z, v8.High.W, upper, lower));

    private static Float4 Added(Float4 sums, uint even0, uint odd0, uint even8, uint odd8, UInt2 upper, UInt2 lower)
    {
        var a = new UInt4(even0, odd0, even8, odd8);
        return Mma.Bf16(a, lower, Mma.Bf16(a, upper, sums));
    }

    // Pairs of dimensions become pairs of keys: row g of A is the even dimension, row g + 8 the odd one.
    private static UInt4 KeyPairs(uint v0, uint v1, uint v8, uint v9)
    {
        const uint LowerHalves = 0x5410;
        const uint UpperHalves = 0x7632;
        return new UInt4(
            Bits.Permute(v0, v1, LowerHalves), Bits.Permute(v0, v1, UpperHalves),
            Bits.Permute(v8, v9, LowerHalves), Bits.Permute(v8, v9, UpperHalves));
    }

    private static UInt4 Turned(UInt4 word) => new(word.Y, word.Z, word.W, word.X);

    private static Float4 Scaled(Float4 sums, float even, float odd) => new(sums.X * even, sums.Y * odd, sums.Z * even, sums.W * odd);
}

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

    /// <summary>Sums that begin at a number of head g's.</summary>
    public static DecodeScores From(float start) =>
        new(new Float4(start, start, 0, 0), default, new Float4(start, start, 0, 0), default);

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

    /// <summary>
    /// The same of queries that are operands already. q0, q1: of the first and the second two words of k0 and k8, a word of the upper
    /// halves by one of the lower.
    /// </summary>
    public DecodeScores AddTo(UInt4 q0, UInt4 q1, UInt4 k0, UInt4 k8) => new(
        Mma.Bf16(q0, new UInt2(k0.X, k0.Y), low0), Mma.Bf16(q1, new UInt2(k0.Z, k0.W), low1),
        Mma.Bf16(q0, new UInt2(k8.X, k8.Y), high0), Mma.Bf16(q1, new UInt2(k8.Z, k8.W), high1));

    private static UInt4 Swapped(UInt4 word) => new(word.Z, word.W, word.X, word.Y);
}
