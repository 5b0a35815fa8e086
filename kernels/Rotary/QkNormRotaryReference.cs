namespace QwenIlgpu.Kernels;

/// <summary>The definition of <see cref="QkNormRotary"/> in double precision.</summary>
internal static class QkNormRotaryReference
{
    /// <summary>
    /// x: [T, heads · headStride], the first headDim values of each head normalised and turned, the rest of its stride as it was;
    /// positions: [T].
    /// </summary>
    public static double[] Run(
        double[] x, int headStride, int headDim, double[] weight, int[] positions, int rotaryDim, double theta, double eps)
    {
        var y = (double[])x.Clone();
        int heads = x.Length / positions.Length / headStride;
        for (int row = 0; row < positions.Length; row++)
        {
            for (int head = 0; head < heads; head++)
            {
                Span<double> values = y.AsSpan(((row * heads) + head) * headStride, headDim);
                Norm(values, weight, eps);
                Turn(values, positions[row], rotaryDim, theta);
            }
        }

        return y;
    }

    private static void Norm(Span<double> values, double[] weight, double eps)
    {
        double squares = 0;
        foreach (double value in values)
            squares += value * value;
        double scale = 1 / Math.Sqrt((squares / values.Length) + eps);
        for (int i = 0; i < values.Length; i++)
            values[i] *= scale * (1 + weight[i]);
    }

    private static void Turn(Span<double> values, int position, int rotaryDim, double theta)
    {
        int half = rotaryDim / 2;
        for (int i = 0; i < half; i++)
        {
            (double sin, double cos) = Math.SinCos(position * Math.Pow(theta, -2.0 * i / rotaryDim));
            (double a, double b) = (values[i], values[i + half]);
            values[i] = (a * cos) - (b * sin);
            values[i + half] = (b * cos) + (a * sin);
        }
    }
}
