namespace QwenIlgpu.Kernels;

/// <summary>compressed-tensors' "pack-quantized" 4-bit codes, scales and zero points to the INT4 layout, block by block.</summary>
internal static class CompressedTensorsPack
{
    /// <summary>
    /// Packs rows [firstRow, firstRow + block rows) of weight_packed [N, K/8]. firstRow is a multiple of 16 (whole tiles); so is the
    /// block's height, unless the block is the source's last, which also writes the padding rows. Padding rows and k get code 8.
    /// </summary>
    public static Launch Bind(KernelLoader loader, Matrix<int> weightPackedBlock, int firstRow, WeightMatrix destination) =>
        Int4Pack.BindRows<CompressedTensorsWords>(loader, "compressed_tensors_pack", weightPackedBlock, firstRow, destination);

    /// <summary>Reorders weight_scale [N, G] of the destination's 16-bit type. Padding rows get 0.</summary>
    public static Launch BindScales(KernelLoader loader, Matrix<ushort> weightScale, WeightMatrix destination)
    {
        const string Op = "compressed_tensors_pack_scales";
        destination.Check(Op, "destination", WeightFormat.Int4);
        Require.Equal(Op, "rows of weight_scale", weightScale.Rows, "rows of destination", destination.Rows);
        Require.Equal(Op, "columns of weight_scale", weightScale.Columns, "groups of destination", destination.Groups);
        return Int4Pack.BindScales<CompressedTensorsWords>(loader, weightScale, destination);
    }

    /// <summary>Unpacks weight_zero_point [⌈N/8⌉, G]. Padding rows get 8.</summary>
    public static Launch BindZeros(KernelLoader loader, Matrix<int> weightZeroPoint, WeightMatrix destination)
    {
        const string Op = "compressed_tensors_pack_zeros";
        destination.Check(Op, "destination", WeightFormat.Int4);
        Require.Equal(
            Op,
            "rows of weight_zero_point",
            weightZeroPoint.Rows,
            "words of eight rows of destination",
            Int4Pack.RowWords(destination.Rows));
        Require.Equal(Op, "columns of weight_zero_point", weightZeroPoint.Columns, "groups of destination", destination.Groups);
        return Int4Pack.BindZeros<CompressedTensorsWords>(loader, Op, weightZeroPoint, destination);
    }
}
