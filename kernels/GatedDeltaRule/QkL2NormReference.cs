namespace QwenIlgpu.Kernels;

/// <summary>The definition of <see cref="QkL2Norm"/> in double precision.</summary>
internal static class QkL2NormReference
{
    /// <summary>qkv: [rows, channels], blocks q | k | v.</summary>
    public static double[] Run(double[] qkv, int channels, int keyHeads, int keyHeadDim)
    {
        var result = (double[])qkv.Clone();
        for (int start = 0; start < qkv.Length; start += channels)
        {
            for (int head = 0; head < 2 * keyHeads; head++)
            {
                Span<double> values = result.AsSpan(start + (head * keyHeadDim), keyHeadDim);
                double squares = 0;
                foreach (double value in values)
                    squares += value * value;
                double scale = 1 / Math.Sqrt(squares + 1e-6);
                if (head < keyHeads)
                    scale /= Math.Sqrt(keyHeadDim);
                for (int c = 0; c < keyHeadDim; c++)
                    values[c] *= scale;
            }
        }

        return result;
    }
}
