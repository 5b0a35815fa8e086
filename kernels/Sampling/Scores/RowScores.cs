using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What one row's logits become before tokens are ranked: + bias, −∞ where the mask forbids, then the repetition penalty over prompt and
/// generated tokens (positive scores divided, others multiplied), then − frequency · count − presence over generated tokens.
/// Computed at each access; nothing is stored.
/// </summary>
internal readonly struct RowScores(
    SlotParameters parameters, ArrayView<float> logits, ArrayView<float> bias, ArrayView<uint> allowed, ArrayView<int> seen)
{
    public readonly SlotParameters Parameters = parameters;

    /// <summary>The exponent of NaN and of the infinities.</summary>
    public const uint ExponentBits = 0x7f800000;

    private readonly bool adjusts = parameters.AdjustsLogits;

    public static RowScores Of(SamplingSlots slots, int slot, ArrayView<float> logits) =>
        new(slots.Parameters[slot], logits, slots.Bias.Row(slot), slots.Allowed.Row(slot), slots.Seen.Row(slot));

    /// <summary>The logits as the model gave them.</summary>
    public static RowScores OfModel(ArrayView<float> logits) => new(default, logits, default, default, default);

    public bool Adjusts => adjusts;

    public ArrayView<float> Logits => logits;

    public ArrayView<float> Bias => bias;

    public ArrayView<uint> Allowed => allowed;

    public ArrayView<int> Seen => seen;

    /// <summary>Neither NaN nor infinite: by its bits, because a comparison that a compiler negates lets NaN pass.</summary>
    public static bool IsFinite(float logit) => Exponent(logit) != ExponentBits;

    public static uint Exponent(float logit) => Interop.FloatAsInt(logit) & ExponentBits;

    public float At(int id) => adjusts ? Adjusted(id) : logits[id];

    /// <summary>Probability relative to the best token's: exp((score − best) / temperature).</summary>
    public float Mass(float score, float best) => XMath.Exp((score - best) / Parameters.Temperature);

    /// <summary>Lowest score that min-p keeps: one whose relative probability is min-p. Never −∞, which is never kept.</summary>
    public float Threshold(float best)
    {
        if (Parameters.MinP <= 0)
            return -float.MaxValue;
        return XMath.Max(best + (Parameters.Temperature * XMath.Log(Parameters.MinP)), -float.MaxValue);
    }

    public float Logit(int id) => logits[id];

    public float Biased(int id, float score) => score + bias[id];

    public int Occurrences(int id) => seen[id];

    public float Penalised(float score, int occurrences)
    {
        if (occurrences == 0)
            return score;

        score = score > 0 ? score / Parameters.RepetitionPenalty : score * Parameters.RepetitionPenalty;
        int generated = occurrences & SamplingSlots.GeneratedCount;
        if (generated > 0)
            score -= (Parameters.FrequencyPenalty * generated) + Parameters.PresencePenalty;
        return score;
    }

    public float Masked(int id, float score) => ((allowed[id >> 5] >> (id & 31)) & 1) == 0 ? float.NegativeInfinity : score;

    private float Adjusted(int id)
    {
        float score = logits[id];
        if (Parameters.Has(SlotParameters.HasBias))
            score = Biased(id, score);
        if (Parameters.Has(SlotParameters.HasPenalties))
            score = Penalised(score, seen[id]);
        return Parameters.Has(SlotParameters.HasMask) ? Masked(id, score) : score;
    }
}
