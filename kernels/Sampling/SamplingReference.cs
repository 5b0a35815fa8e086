namespace QwenIlgpu.Kernels;

/// <summary>
/// One row of the definition: its parameters, and bias, mask and token history over the vocabulary (null where there is none).
/// </summary>
internal sealed record SamplingReferenceRow(
    float[] Logits, SlotParameters Parameters, float[]? Bias = null,
    bool[]? Allowed = null, bool[]? InPrompt = null, int[]? Generated = null);

/// <summary>The definition of <see cref="Sampling"/> in double precision: sort, cut, draw.</summary>
internal static class SamplingReference
{
    /// <summary>Scores before the temperature, by id.</summary>
    public static double[] Scores(SamplingReferenceRow row)
    {
        SlotParameters p = row.Parameters;
        var scores = new double[row.Logits.Length];
        for (int id = 0; id < scores.Length; id++)
        {
            double score = row.Logits[id];
            if (p.Has(SlotParameters.HasBias))
                score += row.Bias![id];
            if (p.Has(SlotParameters.HasMask) && !row.Allowed![id])
                score = double.NegativeInfinity;
            if (p.Has(SlotParameters.HasPenalties))
            {
                if (row.InPrompt![id] || row.Generated![id] > 0)
                    score = score > 0 ? score / p.RepetitionPenalty : score * p.RepetitionPenalty;
                if (row.Generated![id] > 0)
                    score -= ((double)p.FrequencyPenalty * row.Generated[id]) + p.PresencePenalty;
            }

            scores[id] = score;
        }

        return scores;
    }

    /// <summary>The tokens that could be drawn, in rank order, with their probabilities. Empty if there is none.</summary>
    public static (int Id, double Probability)[] Kept(SamplingReferenceRow row)
    {
        SlotParameters p = row.Parameters;
        if (!Array.TrueForAll(row.Logits, float.IsFinite))
            return [];
        double[] scores = Scores(row);
        int[] ranking =
        [
            .. Enumerable.Range(0, scores.Length)
                .Where(id => !double.IsNegativeInfinity(scores[id]))
                .OrderByDescending(id => scores[id]).ThenBy(id => id),
        ];
        if (ranking.Length == 0)
            return [];

        double best = scores[ranking[0]];
        if (p.Temperature == 0 || double.IsPositiveInfinity(best))
            return [(ranking[0], 1)];

        (int Id, double Mass)[] kept = [.. ranking.Select(id => (id, Math.Exp((scores[id] - best) / p.Temperature)))];
        kept = [.. kept.TakeWhile(t => t.Mass >= p.MinP)];
        if (p.TopK > 0)
            kept = [.. kept.Take(p.TopK)];
        if (p.TopP < 1)
        {
            double target = p.TopP * kept.Sum(t => t.Mass);
            double before = 0;
            int count = 0;
            while (count < kept.Length && before < target)
                before += kept[count++].Mass;
            kept = kept[..count];
        }

        double total = kept.Sum(t => t.Mass);
        return [.. kept.Select(t => (t.Id, t.Mass / total))];
    }

    /// <summary>The first id, ascending, at which the cumulative probability of what is kept exceeds the uniform.</summary>
    public static int Draw((int Id, double Probability)[] kept, double uniform)
    {
        double cumulative = 0;
        int drawn = DrawnId.Nothing;
        foreach ((int id, double probability) in kept.OrderBy(t => t.Id))
        {
            drawn = id;
            cumulative += probability;
            if (cumulative > uniform)
                break;
        }

        return drawn;
    }

    /// <summary>log-softmax of the model's own logits.</summary>
    public static double[] LogProbs(float[] logits)
    {
        double max = logits.Max();
        double logSum = max + Math.Log(logits.Sum(l => Math.Exp(l - max)));
        return Array.ConvertAll(logits, l => l - logSum);
    }
}
