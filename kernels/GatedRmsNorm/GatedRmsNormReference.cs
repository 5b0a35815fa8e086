namespace QwenIlgpu.Kernels;

/// <summary>The definition of <see cref="GatedRmsNorm"/> in double precision.</summary>
internal static class GatedRmsNormReference
{
    /// <summary>x, z: heads of weight.Length values one after another.</summary>
    public static double[] Run(double[] x, double[] z, double[] weight, double eps)
    {
        int headDim = weight.Length;
        var y = new double[x.Length];
        for (int start = 0; start < x.Length; start += headDim)
        {
            double squares = 0;
            for (int c = 0; c < headDim; c++)
                squares += x[start + c] * x[start + c];
            double scale = 1 / Math.Sqrt((squares / headDim) + eps);
            for (int c = 0; c < headDim; c++)
                y[start + c] = x[start + c] * scale * weight[c] * z[start + c] / (1 + Math.Exp(-z[start + c]));
        }

        return y;
    }
}
