namespace QwenIlgpu.Kernels;

/// <summary>The definition of y = x · Wᵀ in double precision; quantised weights are unpacked first.</summary>
internal static class MatMulReference
{
    /// <summary>x: [M, K]; w: [N, K]. Returns y [M, N].</summary>
    public static double[] Run(double[] x, double[] w, int m, int n, int k)
    {
        var y = new double[m * n];
        for (int token = 0; token < m; token++)
        {
            for (int row = 0; row < n; row++)
            {
                double sum = 0;
                for (int i = 0; i < k; i++)
                    sum += x[(token * k) + i] * w[(row * k) + i];
                y[(token * n) + row] = sum;
            }
        }

        return y;
    }
}
