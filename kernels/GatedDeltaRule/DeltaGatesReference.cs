namespace QwenIlgpu.Kernels;

/// <summary>The definition of <see cref="DeltaGates"/> in double precision.</summary>
internal static class DeltaGatesReference
{
    /// <summary>b, a: [rows, heads]; aLog, dtBias: [heads].</summary>
    public static (double[] Beta, double[] G) Run(double[] b, double[] a, double[] aLog, double[] dtBias)
    {
        var beta = new double[b.Length];
        var g = new double[b.Length];
        for (int i = 0; i < b.Length; i++)
        {
            int head = i % aLog.Length;
            beta[i] = 1 / (1 + Math.Exp(-b[i]));
            g[i] = -Math.Exp(aLog[head]) * Softplus(a[i] + dtBias[head]);
        }

        return (beta, g);
    }

    // Below −30 the next term of the series, e^2x / 2, is under 1e-13 of e^x.
    private static double Softplus(double x) => x < -30 ? Math.Exp(x) : x > 40 ? x : Math.Log(1 + Math.Exp(x));
}
