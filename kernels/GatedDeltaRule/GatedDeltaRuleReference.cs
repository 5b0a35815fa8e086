namespace QwenIlgpu.Kernels;

/// <summary>The definition of <see cref="GatedDeltaRule"/> in double precision, for one sequence.</summary>
internal static class GatedDeltaRuleReference
{
    /// <summary>
    /// qkv: [rows, Channels], q and k normalised; beta, g: [rows, Hv]; state: [Hv, Dv, Dk], advanced by all rows.
    /// Returns y: [rows, Hv · Dv].
    /// </summary>
    public static double[] Run(double[] qkv, double[] beta, double[] g, DeltaShape shape, double[] state)
    {
        int rows = qkv.Length / shape.Channels;
        var y = new double[rows * shape.ValueChannels];
        for (int t = 0; t < rows; t++)
        {
            for (int column = 0; column < shape.ValueChannels; column++)
            {
                int head = column / shape.ValueHeadDim;
                int row = t * shape.Channels;
                ReadOnlySpan<double> q = qkv.AsSpan(row + (head / shape.Ratio * shape.KeyHeadDim), shape.KeyHeadDim);
                ReadOnlySpan<double> k = qkv.AsSpan(row + shape.KeyChannels + (head / shape.Ratio * shape.KeyHeadDim), shape.KeyHeadDim);
                double v = qkv[row + (2 * shape.KeyChannels) + column];
                Span<double> s = state.AsSpan(column * shape.KeyHeadDim, shape.KeyHeadDim);

                double decay = Math.Exp(g[(t * shape.ValueHeads) + head]);
                double read = 0;
                for (int i = 0; i < s.Length; i++)
                {
                    s[i] *= decay;
                    read += s[i] * k[i];
                }

                double d = beta[(t * shape.ValueHeads) + head] * (v - read);
                double o = 0;
                for (int i = 0; i < s.Length; i++)
                {
                    s[i] += k[i] * d;
                    o += s[i] * q[i];
                }

                y[(t * shape.ValueChannels) + column] = o;
            }
        }

        return y;
    }
}
