using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// q ← q / sqrt(Σq² + 1e-6) · Dk^−½, k ← k / sqrt(Σk² + 1e-6), in place, one head of one row an item.
/// qkv: [T, ≥ 2 · Hk · Dk] float, blocks q | k | v.
/// </summary>
internal readonly partial struct QkL2NormKernel(Matrix<float> qkv, int keyHeads, int keyHeadDim) : IPortableKernel
{
    private const float Eps = 1e-6f;

    public int Items => qkv.Rows * 2 * keyHeads;

    public static void QkL2Norm(Index1D thread, int threads, QkL2NormKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / (2 * keyHeads);
        int head = item - (row * 2 * keyHeads);                 // queries' heads, then keys'
        ArrayView<float> values = qkv.Row(row).SubView(head * keyHeadDim, keyHeadDim);
        float squares = 0;
        for (int c = 0; c < keyHeadDim; c++)
        {
            float value = values[c];
            squares += value * value;
        }

        float scale = 1 / XMath.Sqrt(squares + Eps);
        if (head < keyHeads)
            scale /= XMath.Sqrt(keyHeadDim);
        for (int c = 0; c < keyHeadDim; c++)
            values[c] *= scale;
    }
}

/// <summary>Brings each query head to length Dk^−½ and each key head to length 1, in place; values stay.</summary>
internal static class QkL2Norm
{
    private const string Op = "qk_l2_norm";

    /// <summary>qkv: [T, 2 · keyHeads · keyHeadDim + values], blocks q | k | v, heads contiguous in each.</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> qkv, int keyHeads, int keyHeadDim)
    {
        Require.That(
            Op,
            keyHeads > 0 && keyHeadDim > 0 && 2L * keyHeads * keyHeadDim <= qkv.Columns,
            $"columns of qkv are {qkv.Columns}, too few for queries and keys of {keyHeads} heads of {keyHeadDim}");
        return loader.Bind(QkL2NormKernel.QkL2Norm, new QkL2NormKernel(qkv, keyHeads, keyHeadDim));
    }
}
