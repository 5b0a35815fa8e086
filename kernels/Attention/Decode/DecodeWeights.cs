using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Softmax weights of sixteen keys and eight heads of one warp, in the layout in which the scores came out of m16n8k16: lane l = 4g + t has
/// head g with keys 2t, 2t + 1, 2t + 8 and 2t + 9. Relative to 2^max, the largest score so far; shrink: what weights so far become relative
/// to it.
/// </summary>
internal readonly struct DecodeWeights(float max, float shrink, float key0, float key1, float key8, float key9)
{
    /// <summary>Below every score and finite, so that differences of two maxima are numbers.</summary>
    public const float Lowest = -1e38f;

    private const float Slack = 8;

    public readonly float Max = max;
    public readonly float Shrink = shrink;
    public readonly float Key0 = key0;
    public readonly float Key1 = key1;
    public readonly float Key8 = key8;
    public readonly float Key9 = key9;

    /// <summary>Σ of the lane's weights.</summary>
    public float Sum => (Key0 + Key1) + (Key8 + Key9);

    /// <summary>Of scores in powers of two, and the maximum of those before.</summary>
    public static DecodeWeights Of(float max, float s0, float s1, float s8, float s9)
    {
        float higher = Larger(max, MaxOfFour(Larger(Larger(s0, s1), Larger(s8, s9))));
        return Of(max, higher, s0, s1, s8, s9);
    }

    /// <summary>
    /// The same, but the maximum stays as it is where no score is above it by more than <see cref="Slack"/>: what was summed up so far then
    /// need not shrink, and weights are no more than 2^Slack.
    /// </summary>
    public static DecodeWeights OfFewMaxima(float max, float s0, float s1, float s8, float s9)
    {
        float most = MaxOfFour(Larger(Larger(s0, s1), Larger(s8, s9)));
        return Of(max, most > max + Slack ? most : max, s0, s1, s8, s9);
    }

    /// <summary>What is left of a pair when its bf16 are taken off, as bf16.</summary>
    public static uint Rest(float low, float high, uint pair) =>
        Bf16x2.Pack(low - Interop.IntAsFloat(pair << 16), high - Interop.IntAsFloat(pair & 0xffff0000u));

    /// <summary>The sum of a pair of bf16.</summary>
    public static float SumOf(uint pair) => Interop.IntAsFloat(pair << 16) + Interop.IntAsFloat(pair & 0xffff0000u);

    public static float Larger(float a, float b) => a > b ? a : b;

    private static DecodeWeights Of(float max, float higher, float s0, float s1, float s8, float s9)
    {
        float shrink = Float32.Exp2(max - higher);              // 0 at the first page
        return new DecodeWeights(
            higher, shrink, Float32.Exp2(s0 - higher), Float32.Exp2(s1 - higher), Float32.Exp2(s8 - higher), Float32.Exp2(s9 - higher));
    }

    private static float MaxOfFour(float value)
    {
        value = Larger(value, WarpShuffle.Xor(value, 2));
        return Larger(value, WarpShuffle.Xor(value, 1));
    }
}

/// <summary>
/// The same times the scales of their values, as B of m16n8k16 in two bf16 whose sum they are, and what their values' middles give. stored:
/// of each token, 0 where its weight is 0.
/// </summary>
internal readonly struct ScaledWeights<TValues>(DecodeWeights weights, uint stored0, uint stored1, uint stored8, uint stored9)
    where TValues : struct, ICodedPageFormat
{
    private readonly DecodeWeights weights = weights;
    private readonly uint stored0 = stored0;
    private readonly uint stored1 = stored1;
    private readonly uint stored8 = stored8;
    private readonly uint stored9 = stored9;

    public UInt2 Upper => new(Bf16x2.Pack(Key0, Key1), Bf16x2.Pack(Key8, Key9));

    private float Key0 => weights.Key0 * TValues.Scale(stored0);

    private float Key1 => weights.Key1 * TValues.Scale(stored1);

    private float Key8 => weights.Key8 * TValues.Scale(stored8);

    private float Key9 => weights.Key9 * TValues.Scale(stored9);

    public UInt2 Lower(UInt2 upper) => new(DecodeWeights.Rest(Key0, Key1, upper.X), DecodeWeights.Rest(Key8, Key9, upper.Y));

    /// <summary>Σ weight · middle less what the operands of the products are too large by.</summary>
    public float Shared(UInt2 upper, UInt2 lower)
    {
        if (TValues.Excess == 0)
            return 0;
        float middles = Float32.Fma(weights.Key0, Middle(stored0), weights.Key1 * Middle(stored1));
        middles += Float32.Fma(weights.Key8, Middle(stored8), weights.Key9 * Middle(stored9));
        float sum = (SumOf(upper.X) + SumOf(upper.Y)) + (SumOf(lower.X) + SumOf(lower.Y));
        return Float32.Fma(-TValues.Excess, sum, middles);
    }

    private static float Middle(uint stored) => TValues.AtCentre(stored, TValues.Scale(stored));

    private static float SumOf(uint pair) => DecodeWeights.SumOf(pair);
}
