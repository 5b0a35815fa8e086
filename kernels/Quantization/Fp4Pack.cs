using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>NVFP4's codes and scales, and MXFP4's where a host has made E4M3 of its powers of two, to the FP4 layout.</summary>
internal static class Fp4Pack
{
    private const string Op = "fp4_pack";
    private const string ScalesOp = "fp4_pack_scales";

    /// <summary>
    /// Packs rows [firstRow, firstRow + block rows) of codes [N, K/8], eight a word in the order of k, the lowest bits first. firstRow is
    /// a multiple of 16; so is the block's height, unless the block is the source's last, which also writes the padding rows. Padding is 0.
    /// </summary>
    public static Launch Bind(KernelLoader loader, Matrix<uint> block, int firstRow, WeightMatrix destination)
    {
        CheckColumns(Op, destination, Fp4Layout.GroupSize);
        Require.Equal(Op, "columns of block", block.Columns, "words of a row of destination", destination.Columns / 8);
        RowBlock.Check(Op, firstRow, block.Rows, destination.Rows);
        return loader.Bind(
            PackInt4Kernel<Fp4Words>.PackInt4,
            new PackInt4Kernel<Fp4Words>(
                new Matrix<int>(block.Data.Cast<int>(), block.Rows, block.Columns, block.Stride), block.Rows, firstRow / Int4Layout.TileRows,
                0, destination.ColumnTiles, destination.Data, destination.ColumnTiles));
    }

    /// <summary>
    /// Packs E4M3 scales [N, K/groupSize] of groups of 16, or of 32, each of which is two of the layout's; and the global scale, by which
    /// all weights are multiplied. Padding is 0.
    /// </summary>
    public static Launch BindScales(KernelLoader loader, Matrix<byte> scales, int groupSize, float globalScale, WeightMatrix destination)
    {
        Require.That(ScalesOp, groupSize is Fp4Layout.GroupSize or 2 * Fp4Layout.GroupSize, $"group size is {groupSize}, neither 16 nor 32");
        CheckColumns(ScalesOp, destination, groupSize);
        Require.Equal(ScalesOp, "rows of scales", scales.Rows, "rows of destination", destination.Rows);
        Require.Equal(ScalesOp, "columns of scales", scales.Columns, "groups of destination", destination.Columns / groupSize);
        return loader.Bind(
            PackFp4ScalesKernel.PackFp4Scales,
            new PackFp4ScalesKernel(
                scales, groupSize / Fp4Layout.GroupSize / 2, BitConverter.SingleToUInt32Bits(globalScale), destination.Scales, destination.Rows,
                destination.Groups, destination.ScaleSlots));
    }

    private static void CheckColumns(string op, WeightMatrix destination, int groupSize)
    {
        destination.Check(op, "destination", WeightFormat.Fp4);
        Require.That(
            op, destination.Columns % groupSize == 0, $"columns of destination are {destination.Columns}, not a multiple of {groupSize}");
    }
}
