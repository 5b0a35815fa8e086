namespace QwenIlgpu.Kernels;

/// <summary>
/// YaRN (Peng et al., 2023): a rotary embedding for <paramref name="Factor"/> times the context that a model was trained for. Pairs that
/// turn often within the original context keep their frequency, those that turn about once or less are slowed down by the factor, and
/// those between are blended by a ramp over their index; cosine and sine are multiplied by an attention factor.
/// </summary>
/// <param name="Factor">How many times longer the context becomes, at least 1.</param>
/// <param name="OriginalPositions">Positions of the original context.</param>
internal sealed record YarnScaling(double Factor, int OriginalPositions)
{
    /// <summary>Turns within the original context from which on a pair keeps its frequency.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>Turns within the original context up to which a pair is slowed down by the whole factor.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>Whether the ramp begins and ends at whole indices.</summary>
    public bool Truncate { get; init; } = true;

    /// <summary>What cosine and sine are multiplied by.</summary>
    public double AttentionFactor { get; init; } = Magnitude(Factor, 1);

    /// <summary>The paper's temperature: 0.1 · weight · ln(factor) + 1.</summary>
    public static double Magnitude(double factor, double weight) => factor <= 1 ? 1 : (0.1 * weight * Math.Log(factor)) + 1;

    /// <summary>What the frequency theta^(−2i / rotaryDim) of every pair i is multiplied by: from 1 down to 1 / Factor.</summary>
    public double[] Slowdowns(int rotaryDim, double theta)
    {
        double low = IndexOf(BetaFast, rotaryDim, theta);
        double high = IndexOf(BetaSlow, rotaryDim, theta);
        if (Truncate)
            (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, rotaryDim - 1));
        if (low == high)
            high += 0.001;                              // a step, as the field's code has it
        double Ramp(int i) => Math.Clamp((i - low) / (high - low), 0, 1);
        return [.. Enumerable.Range(0, rotaryDim / 2).Select(i => 1 - (Ramp(i) * (1 - (1 / Factor))))];
    }

    // The index, not whole, of the pair that turns so often within the original context.
    private double IndexOf(double turns, int rotaryDim, double theta) =>
        rotaryDim * Math.Log(OriginalPositions / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
}
