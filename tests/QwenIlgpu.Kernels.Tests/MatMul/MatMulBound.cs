namespace QwenIlgpu.Kernels.Tests;

/// <summary>The error that y = x · Wᵀ in float may have, element by element.</summary>
internal static class MatMulBound
{
    // A chain of at most 128 products, then at most 42 sums of such chains (K ≤ 5376), each product and sum rounded to 2^-24 of at most
    // Σ|w·x|; a scale adds one rounding more. Real errors are far below.
    private const double Roundings = 2 * 172;

    /// <summary>|y − reference| ≤ 344 · 2^-24 · Σ|w·x|; NaN (an element nobody wrote) never passes.</summary>
    public static void Assert(float[] y, double[] x, double[] w, int m, int n, int k, double roundings = Roundings)
    {
        double[] expected = MatMulReference.Run(x, w, m, n, k);
        double[] magnitude = MatMulReference.Run(Array.ConvertAll(x, Math.Abs), Array.ConvertAll(w, Math.Abs), m, n, k);
        NUnit.Framework.Assert.That(y, Has.Length.EqualTo(expected.Length));
        for (int i = 0; i < y.Length; i++)
        {
            double bound = roundings / (1 << 24) * magnitude[i];
            if (!(Math.Abs(y[i] - expected[i]) <= bound))
                NUnit.Framework.Assert.Fail($"token {i / n}, row {i % n}: {y[i]} instead of {expected[i]} ± {bound}");
        }
    }

    /// <summary>The largest |y − reference| in units of what <see cref="Assert"/> allows; infinite where an output is NaN.</summary>
    public static double Deviation(float[] y, double[] x, double[] w, int m, int n, int k, double roundings = Roundings)
    {
        double[] expected = MatMulReference.Run(x, w, m, n, k);
        double[] magnitude = MatMulReference.Run(Array.ConvertAll(x, Math.Abs), Array.ConvertAll(w, Math.Abs), m, n, k);
        return y.Select((v, i) => float.IsNaN(v)
            ? double.PositiveInfinity
            : Math.Abs(v - expected[i]) / Math.Max(roundings / (1 << 24) * magnitude[i], double.Epsilon)).Max();
    }
}
