namespace QwenIlgpu.Kernels;

/// <summary>The definition of <see cref="RmsNorm"/> in double precision.</summary>
internal static class RmsNormReference
{
    public static double[] Run(double[] x, double[] weight, int rows, double eps)
    {
        int columns = weight.Length;
        var y = new double[x.Length];
        for (int r = 0; r < rows; r++)
        {
            double squares = 0;
            for (int c = 0; c < columns; c++)
                squares += x[(r * columns) + c] * x[(r * columns) + c];
            double scale = 1 / Math.Sqrt((squares / columns) + eps);
            for (int c = 0; c < columns; c++)
                y[(r * columns) + c] = x[(r * columns) + c] * scale * (1 + weight[c]);
        }

        return y;
    }
}
