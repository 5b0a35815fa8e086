namespace QwenIlgpu.Kernels;

/// <summary>The definition of <see cref="CausalConv1d"/> in double precision, for one sequence from zero history.</summary>
internal static class CausalConv1dReference
{
    /// <summary>x: [rows, channels], the sequence from its first token on; weight: [channels, taps].</summary>
    public static double[] Run(double[] x, double[] weight, int channels)
    {
        int taps = weight.Length / channels;
        int rows = x.Length / channels;
        var y = new double[x.Length];
        for (int t = 0; t < rows; t++)
        {
            for (int c = 0; c < channels; c++)
            {
                double sum = 0;
                for (int j = Math.Max(0, taps - 1 - t); j < taps; j++)
                    sum += weight[(c * taps) + j] * x[((t - taps + 1 + j) * channels) + c];
                y[(t * channels) + c] = sum / (1 + Math.Exp(-sum));
            }
        }

        return y;
    }
}
