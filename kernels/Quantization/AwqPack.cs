namespace QwenIlgpu.Kernels;

/// <summary>AutoAWQ's "gemm" packing of 4-bit codes, scales and zero points to the INT4 layout, block by block.</summary>
internal static class AwqPack
{
    /// <summary>
    /// Packs k [firstK, firstK + block rows) of qweight [K, ⌈N/8⌉]. firstK is a multiple of 64 (whole tiles); so is the block's height,
    /// unless the block is the source's last, which also writes the padding k. Padding rows and k get code 8.
    /// </summary>
    public static Launch Bind(KernelLoader loader, Matrix<int> qweightBlock, int firstK, WeightMatrix destination)
    {
        const string Op = "awq_pack";
        Require.Equal(
            Op,
            "columns of qweight",
            qweightBlock.Columns,
            "words of eight rows of destination",
            Int4Pack.RowWords(destination.Rows));
        return Int4Pack.BindColumns<AwqWords>(loader, Op, "k", 8, qweightBlock, firstK, destination);
    }

    /// <summary>Reorders scales [G, N] of the destination's 16-bit type. Padding rows get 0.</summary>
    public static Launch BindScales(KernelLoader loader, Matrix<ushort> scales, WeightMatrix destination)
    {
        const string Op = "awq_pack_scales";
        destination.Check(Op, "destination", WeightFormat.Int4);
        Require.Equal(Op, "rows of scales", scales.Rows, "groups of destination", destination.Groups);
        Require.Equal(Op, "columns of scales", scales.Columns, "rows of destination", destination.Rows);
        return Int4Pack.BindScales<GptqWords>(loader, scales, destination);
    }

    /// <summary>Unpacks qzeros [G, ⌈N/8⌉]. Padding rows get 8.</summary>
    public static Launch BindZeros(KernelLoader loader, Matrix<int> qzeros, WeightMatrix destination)
    {
        const string Op = "awq_pack_zeros";
        destination.Check(Op, "destination", WeightFormat.Int4);
        Require.Equal(Op, "rows of qzeros", qzeros.Rows, "groups of destination", destination.Groups);
        Require.Equal(Op, "columns of qzeros", qzeros.Columns, "words of eight rows of destination", Int4Pack.RowWords(destination.Rows));
        return Int4Pack.BindZeros<AwqWords>(loader, Op, qzeros, destination);
    }
}
