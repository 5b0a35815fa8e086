namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// How far prefill attention may be off, element by element, in units of Σ w|v| σ(gate). The weights of the softmax are rounded to bf16,
/// by 2^-8 of themselves at most, but not their sum: the output moves by 2^-8. Everything else is float: scores of a few dozen at 2^-18,
/// 2^score and sums: a quarter of that is more than enough. Queries are rounded too: a score by 2^-8 Σ|q · k| / sqrt(Hd) =: e at most, all
/// weights by e^e, their sum by as much the other way.
/// </summary>
internal static class PrefillAttentionBound
{
    private const double Rounding = 1.0 / 256;
    private const double Roundings = 1.25;

    /// <summary>Against queries as the kernel rounds them.</summary>
    public static double OfRoundedQueries(double magnitude) => Roundings * Rounding * magnitude;

    /// <summary>Against the queries themselves; score: the largest Σ|q · k| / sqrt(Hd).</summary>
    public static double OfDefinition(double magnitude, double score) =>
        ((Roundings * Rounding) + Math.Exp(2 * Rounding * score) - 1) * magnitude;

    /// <summary>Queries, not gates, with log2(e) / sqrt(Hd) rounded to bf16. q: [T, H · 2 · Hd].</summary>
    public static double[] Rounded(float[] q, int headDim)
    {
        double scale = Math.Log2(Math.E) / Math.Sqrt(headDim);
        return [.. q.Select((x, i) => i / headDim % 2 == 1 ? x : Bf16.ToFloat(Bf16.FromFloat(x * (float)scale)) / scale)];
    }

    /// <summary>The largest |y − expected| / allowed; infinite where an output is NaN.</summary>
    public static double Worst(float[] y, double[] expected, Func<int, double> allowed) =>
        y.Select((v, i) => float.IsNaN(v) ? double.PositiveInfinity : Math.Abs(v - expected[i]) / allowed(i)).Max();
}
