namespace QwenIlgpu.Kernels;

/// <summary>GPTQ's 4-bit codes, scales and zero points, in the order of k, to the INT4 layout, block by block.</summary>
internal static class GptqPack
{
    /// <summary>
    /// Packs rows [firstWord, firstWord + block rows) of qweight [K/8, N] (word (r, o): bits 4j… are the code of input 8r + j).
    /// firstWord is a multiple of 8 (whole tiles); so is the block's height, unless the block is the source's last, which also writes
    /// the padding k. Padding rows and k get code 8.
    /// </summary>
    public static Launch Bind(KernelLoader loader, Matrix<int> qweightBlock, int firstWord, WeightMatrix destination)
    {
        const string Op = "gptq_pack";
        Require.Equal(Op, "columns of qweight", qweightBlock.Columns, "rows of destination", destination.Rows);
        return Int4Pack.BindColumns<GptqWords>(loader, Op, "word", 1, qweightBlock, firstWord, destination);
    }

    /// <summary>Reorders scales [G, N] of the destination's 16-bit type. Padding rows get 0.</summary>
    public static Launch BindScales(KernelLoader loader, Matrix<ushort> scales, WeightMatrix destination)
    {
        const string Op = "gptq_pack_scales";
        destination.Check(Op, "destination", WeightFormat.Int4);
        Require.Equal(Op, "rows of scales", scales.Rows, "groups of destination", destination.Groups);
        Require.Equal(Op, "columns of scales", scales.Columns, "rows of destination", destination.Rows);
        return Int4Pack.BindScales<GptqWords>(loader, scales, destination);
    }

    /// <summary>Unpacks qzeros [G, ⌈N/8⌉], which are words of zeros in GPTQ v2, and those less 0x11111111 in v1. Padding rows get 8.</summary>
    public static Launch BindZeros(KernelLoader loader, Matrix<int> qzeros, GptqVersion version, WeightMatrix destination)
    {
        const string Op = "gptq_pack_zeros";
        destination.Check(Op, "destination", WeightFormat.Int4);
        Require.Equal(Op, "rows of qzeros", qzeros.Rows, "groups of destination", destination.Groups);
        Require.Equal(Op, "columns of qzeros", qzeros.Columns, "words of eight rows of destination", Int4Pack.RowWords(destination.Rows));
        return version == GptqVersion.V1
            ? Int4Pack.BindZeros<GptqV1Words>(loader, Op, qzeros, destination)
            : Int4Pack.BindZeros<GptqWords>(loader, Op, qzeros, destination);
    }
}

/// <summary>GPTQ's two ways to store zero points: words of them less 0x11111111, and as they are.</summary>
internal enum GptqVersion
{
    V1,
    V2,
}
