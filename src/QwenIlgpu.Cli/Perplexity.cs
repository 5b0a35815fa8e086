namespace QwenIlgpu.Cli;

/// <summary>Perplexity of tokens: exp of the mean of their negative log-likelihoods.</summary>
internal sealed class Perplexity
{
    // Welford's running sum of squared distances from the mean.
    private double squares;

    public int Tokens { get; private set; }

    /// <summary>Mean of −ln p.</summary>
    public double NegativeLogLikelihood { get; private set; }

    public double Value => Math.Exp(NegativeLogLikelihood);

    /// <summary>That of the mean, carried through exp to first order; NaN for fewer than two tokens.</summary>
    public double StandardError => Value * Math.Sqrt(squares / (Tokens - 1.0) / Tokens);

    public void Add(ReadOnlySpan<float> logProbabilities)
    {
        foreach (float value in logProbabilities)
        {
            Tokens++;
            double distance = -value - NegativeLogLikelihood;
            NegativeLogLikelihood += distance / Tokens;
            squares += distance * (-value - NegativeLogLikelihood);
        }
    }
}
