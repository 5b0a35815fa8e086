namespace QwenIlgpu.Kernels;

/// <summary>The definition of <see cref="GatedAttention"/> in double precision, for rows of one sequence and keys in one piece.</summary>
internal static class AttentionReference
{
    /// <summary>q: [T, H · 2 · Hd]; keys, values: [L, Hkv · Hd]; positions: [T], below L. Returns [T, H · Hd].</summary>
    public static double[] Run(double[] q, double[] keys, double[] values, int[] positions, int heads, int kvHeads, int headDim)
    {
        var y = new double[positions.Length * heads * headDim];
        for (int row = 0; row < positions.Length; row++)
        {
            for (int head = 0; head < heads; head++)
            {
                int kvHead = head / (heads / kvHeads);
                int place = (row * heads) + head;
                ReadOnlySpan<double> query = q.AsSpan(place * 2 * headDim, headDim);
                ReadOnlySpan<double> gate = q.AsSpan(((place * 2) + 1) * headDim, headDim);
                Span<double> output = y.AsSpan(place * headDim, headDim);

                double[] weights = Softmax(Scores(query, keys, positions[row] + 1, kvHead, kvHeads));
                for (int key = 0; key < weights.Length; key++)
                {
                    ReadOnlySpan<double> value = values.AsSpan(((key * kvHeads) + kvHead) * headDim, headDim);
                    for (int i = 0; i < headDim; i++)
                        output[i] += weights[key] * value[i];
                }

                for (int i = 0; i < headDim; i++)
                    output[i] /= 1 + Math.Exp(-gate[i]);
            }
        }

        return y;
    }

    private static double[] Scores(ReadOnlySpan<double> query, double[] keys, int length, int kvHead, int kvHeads)
    {
        var scores = new double[length];
        for (int key = 0; key < length; key++)
        {
            ReadOnlySpan<double> k = keys.AsSpan(((key * kvHeads) + kvHead) * query.Length, query.Length);
            for (int i = 0; i < query.Length; i++)
                scores[key] += query[i] * k[i];
            scores[key] /= Math.Sqrt(query.Length);
        }

        return scores;
    }

    private static double[] Softmax(double[] scores)
    {
        double max = scores.Max();
        double[] weights = Array.ConvertAll(scores, s => Math.Exp(s - max));
        double sum = weights.Sum();
        return Array.ConvertAll(weights, w => w / sum);
    }
}
