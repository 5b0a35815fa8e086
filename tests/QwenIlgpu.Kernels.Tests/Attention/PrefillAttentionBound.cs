namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// How far prefill attention may be off, element by element, in units of Σ w|v| σ(gate). The weights of the softmax are rounded to bf16,
/// by 2^-8 of themselves at most, but not their sum: the output moves by 2^-8. Everything else is float: scores of a few dozen at 2^-18,
/// 2^score and sums: a quarter of that is more than enough. Queries are rounded too: a score by 2^-8 Σ|q · k| / sqrt(Hd) =: e at most, all
/// weights by e^e, their sum by as much the other way.
/// </summary>
/// <remarks>
/// Of quantised values the weights that are rounded are those of codes, less their centre and with their scale, c: outputs move by
/// 2^-8 Σ w|c| before they are turned back. That mixes a head's errors and keeps the length of all of them, so that a head's are compared as
/// a vector. A turned query's e is that of the turned keys.
/// </remarks>
internal static class PrefillAttentionBound
{
    private const double Rounding = 1.0 / 256;
    private const double Roundings = 1.25;

    /// <summary>Against queries as the kernel rounds them; magnitude: Σ w|v| σ(gate), or Σ w|c| σ(gate).</summary>
    public static double OfRoundedQueries(double magnitude) => Roundings * Rounding * magnitude;

    /// <summary>What queries' own rounding adds; magnitude: Σ w|v| σ(gate); score: the largest Σ|q · k| / sqrt(Hd).</summary>
    public static double OfQueries(double magnitude, double score) => (Math.Exp(2 * Rounding * score) - 1) * magnitude;

    /// <summary>Queries, not gates, with log2(e) / sqrt(Hd) rounded to bf16, where keys are turned as they are. q: [T, H · 2 · Hd].</summary>
    public static double[] Rounded<TKeys>(float[] q, int headDim)
        where TKeys : struct, IPageFormat
    {
        double scale = Math.Log2(Math.E) / Math.Sqrt(headDim);
        return [.. q.Chunk(headDim).SelectMany((part, i) => i % 2 == 1 ? Seeded.ToDouble(part) : RoundedHead<TKeys>(part, scale))];
    }

    /// <summary>
    /// The largest |y − expected| / allowed; infinite where an output is NaN. Of turned heads, which have so many dimensions, the largest of
    /// their lengths with the gates, as far as those of q are known, taken off.
    /// </summary>
    public static double Worst<TValues>(float[] y, double[] expected, double[] allowed, float[] q, int headDim)
        where TValues : struct, IPageFormat
    {
        int together = TValues.IsQuantized ? headDim : 1;
        double[] gates = [.. q.Chunk(headDim).Where((_, i) => i % 2 == 1).SelectMany(head => head).Select(g => 1 / (1 + Math.Exp(-g)))];
        double worst = 0;
        for (int first = 0; first < y.Length; first += together)
        {
            (double off, double most) = (0, 0);
            for (int i = first; i < first + together; i++)
            {
                off += Square((y[i] - expected[i]) / gates[i]);
                most += Square(allowed[i] / gates[i]);
            }

            worst = double.IsNaN(off) ? double.PositiveInfinity : Math.Max(worst, Math.Sqrt(off / most));
        }

        return worst;
    }

    // Turned in float, neighbours first, as kernels do it: one rounding the other way would be half a step of bf16.
    private static double[] RoundedHead<TKeys>(float[] head, double scale)
        where TKeys : struct, IPageFormat
    {
        float[] turned = Array.ConvertAll(head, x => x * (float)scale);
        if (TKeys.IsQuantized)
        {
            for (int step = 1; step < head.Length; step *= 2)
                turned = [.. turned.Select((x, i) => (i & step) == 0 ? x + turned[i + step] : turned[i - step] - x)];
            turned = Array.ConvertAll(turned, x => x * (float)(1 / Math.Sqrt(head.Length)));
        }

        double[] rounded = Array.ConvertAll(turned, x => Bf16.ToFloat(Bf16.FromFloat(x)) / scale);
        return TKeys.IsQuantized ? StoredRow.Turned(rounded) : rounded;
    }

    private static double Square(double x) => x * x;
}
