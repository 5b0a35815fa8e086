namespace QwenIlgpu.Kernels;

/// <summary>A checkpoint's E4M3 codes, row by row, and its scales of blocks of them to the FP8 layout.</summary>
internal static class Fp8Pack
{
    /// <summary>
    /// Packs rows [firstRow, firstRow + block rows) of codes [N, K / 4], four bytes a word in the order of k, none of them NaN. firstRow is a
    /// multiple of 16; so is the block's height, unless the block is the last, which also writes the padding rows. Padding gets code 0.
    /// </summary>
    public static Launch Bind(KernelLoader loader, Matrix<uint> block, int firstRow, WeightMatrix destination)
    {
        const string Op = "fp8_pack";
        destination.Check(Op, "destination", WeightFormat.Fp8);
        Require.That(Op, destination.Columns % 8 == 0, $"columns of destination are {destination.Columns}, not a multiple of 8");
        Require.Equal(Op, "columns of block", block.Columns, "words of a row of destination", destination.Columns / 4);
        RowBlock.Check(Op, firstRow, block.Rows, destination.Rows);
        return loader.Bind(
            PackFp8Kernel.PackFp8, new PackFp8Kernel(block, firstRow / Int8Layout.TileRows, destination.Data, destination.ColumnTiles));
    }

    /// <summary>
    /// The scale of (row, k) is scales[row / blockRows, k / blockColumns]: blocks at the edges may be cut off, one block is one scale of the
    /// matrix, blockRows 1 a scale a row. blockColumns is a multiple of the group size or no less than K. Padding rows get 0.
    /// </summary>
    public static Launch BindScales(KernelLoader loader, Matrix<float> scales, int blockRows, int blockColumns, WeightMatrix destination)
    {
        const string Op = "fp8_pack_scales";
        destination.Check(Op, "destination", WeightFormat.Fp8);
        Require.That(Op, blockRows > 0 && blockColumns > 0, $"blocks are {blockRows} x {blockColumns}");
        Require.That(
            Op,
            blockColumns >= destination.Columns || blockColumns % destination.GroupSize == 0,
            $"blocks of {blockColumns} columns end inside groups of {destination}");
        Require.Equal(
            Op, "rows of scales", scales.Rows, $"blocks of {blockRows} rows", (destination.Rows - 1L + blockRows) / blockRows);
        Require.Equal(
            Op, "columns of scales", scales.Columns, $"blocks of {blockColumns} columns",
            (destination.Columns - 1L + blockColumns) / blockColumns);
        return loader.Bind(
            PackBlockScalesKernel.PackBlockScales,
            new PackBlockScalesKernel(
                scales, blockRows, blockColumns, destination.Scales.Cast<float>(), destination.Rows, destination.Groups, destination.GroupSize));
    }
}
