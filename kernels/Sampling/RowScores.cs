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

    private readonly bool adjusts = parameters.AdjustsLogits;

    public static RowScores Of(SamplingSlots slots, int slot, ArrayView<float> logits) =>
        new(slots.Parameters[slot], logits, slots.Bias.Row(slot), slots.Allowed.Row(slot), slots.Seen.Row(slot));

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

    private float Adjusted(int id)
    {
        float score = logits[id];
        if (Parameters.Has(SlotParameters.HasBias))
            score += bias[id];
        if (Parameters.Has(SlotParameters.HasMask) && ((allowed[id >> 5] >> (id & 31)) & 1) == 0)
            return float.NegativeInfinity;
        if (!Parameters.Has(SlotParameters.HasPenalties))
            return score;

        int occurrences = seen[id];
        if (occurrences == 0)
            return score;

        score = score > 0 ? score / Parameters.RepetitionPenalty : score * Parameters.RepetitionPenalty;
        int generated = occurrences & SamplingSlots.GeneratedCount;
        if (generated > 0)
            score -= (Parameters.FrequencyPenalty * generated) + Parameters.PresencePenalty;
        return score;
    }
}
