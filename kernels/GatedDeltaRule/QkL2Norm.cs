namespace QwenIlgpu.Kernels;

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
