using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What queries and keys go through between their projection and attention, in place: zero-centred RMSNorm of each head,
/// x / sqrt(mean(x²) + eps) · (1 + weight), then the rotary embedding of its first dimensions.
/// </summary>
internal static class QkNormRotary
{
    /// <summary>
    /// q: [T, H · 2 · Hd], per head Hd query values, then Hd gate values that stay as they are; k: [T, Hkv · Hd]; positions: [T], below
    /// those of the rotary table.
    /// </summary>
    public static Launch Bind(
        KernelLoader loader,
        Matrix<float> q,
        Matrix<float> k,
        int heads,
        int kvHeads,
        int headDim,
        QkNormWeights norms,
        ArrayView<int> positions)
    {
        const string Op = "qk_norm_rotary";
        Require.That(
            Op,
            heads > 0 && kvHeads > 0 && headDim > 0 && headDim % 4 == 0,
            $"{heads} query heads and {kvHeads} key heads of {headDim}: heads must be positive, head size a multiple of 4");
        Require.Equal(Op, "columns of q", q.Columns, "heads · 2 · head size", (long)heads * 2 * headDim);
        Require.Equal(Op, "columns of k", k.Columns, "key heads · head size", (long)kvHeads * headDim);
        Require.Equal(Op, "rows of k", k.Rows, "rows of q", q.Rows);
        norms.Check(Op, headDim);
        Require.Equal(Op, "length of positions", positions.Length, "rows of q", q.Rows);
        return loader.Bind(
            QkNormRotaryKernel.QkNormRotary,
            new QkNormRotaryKernel(
                Float4.Words(Op, "q", q),
                Float4.Words(Op, "k", k),
                heads,
                kvHeads,
                headDim / 4,
                new QkNormWords(Op, norms),
                positions));
    }
}
