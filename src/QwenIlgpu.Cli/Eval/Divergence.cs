namespace QwenIlgpu.Cli.Eval;

/// <summary>How far next-token distributions are from those of a reference, position by position.</summary>
internal sealed class Divergence
{
    private readonly List<double> divergences = [];
    private int sameTop;

    /// <summary>Perplexity of the text by the reference.</summary>
    public Perplexity Reference { get; } = new();

    /// <summary>Perplexity of the text by what is held against it.</summary>
    public Perplexity Own { get; } = new();

    public int Positions => divergences.Count;

    /// <summary>Mean of Σ p · ln (p / q), in nats.</summary>
    public double Mean => divergences.Average();

    public double Median => QwenIlgpu.Median.Of(divergences);

    public double Max => divergences.Max();

    /// <summary>Positions at which both find the same token likeliest, in percent.</summary>
    public double SameTopPercent => 100.0 * sameTop / divergences.Count;

    /// <summary>
    /// Logarithms of the probabilities of a row of logits; −∞ for ids that no token has. Both spans have one entry for each id of the
    /// vocabulary and may be the same.
    /// </summary>
    public static void ToLogProbabilities(ReadOnlySpan<float> logits, IReadOnlyList<int> idsWithoutToken, Span<float> result)
    {
        logits.CopyTo(result);
        foreach (int id in idsWithoutToken)
            result[id] = float.NegativeInfinity;
        float most = float.NegativeInfinity;
        foreach (float value in result)
            most = Math.Max(most, value);
        double sum = 0;
        foreach (float value in result)
            sum += Math.Exp((double)value - most);
        double logSum = most + Math.Log(sum);
        for (int id = 0; id < result.Length; id++)
            result[id] = (float)(result[id] - logSum);
    }

    /// <summary>Adds a position.</summary>
    /// <param name="reference">Log-probabilities of the reference.</param>
    /// <param name="own">Those held against it.</param>
    /// <param name="next">The token that the text goes on with; −1 at its end.</param>
    public void Add(ReadOnlySpan<float> reference, ReadOnlySpan<float> own, int next)
    {
        double divergence = 0;
        int top = 0;
        int ownTop = 0;
        for (int id = 0; id < reference.Length; id++)
        {
            top = reference[id] > reference[top] ? id : top;
            ownTop = own[id] > own[ownTop] ? id : ownTop;

            // What has no probability adds nothing.
            if (!float.IsNegativeInfinity(reference[id]))
                divergence += Math.Exp(reference[id]) * ((double)reference[id] - own[id]);
        }

        divergences.Add(divergence);
        sameTop += top == ownTop ? 1 : 0;
        if (next < 0)
            return;
        Reference.Add([reference[next]]);
        Own.Add([own[next]]);
    }
}
