namespace QwenIlgpu.Kernels;

/// <summary>What the packers of all checkpoint formats share: the checks of a block's place and the launches.</summary>
internal static class Int4Pack
{
    /// <summary>
    /// A block that covers all rows and k from first octet on, of whole tiles or up to the end: then it also writes the padding k.
    /// </summary>
    public static Launch BindColumns<TSource>(
        KernelLoader loader, string op, string unit, int unitsPerOctet, Matrix<int> block, int first, WeightMatrix destination)
        where TSource : struct, IInt4Source
    {
        CheckColumns(op, destination);
        int tileUnits = Int4Layout.TileColumns / 8 * unitsPerOctet;
        int sourceUnits = destination.Columns / 8 * unitsPerOctet;
        int end = first + block.Rows;
        Require.That(op, first >= 0 && first % tileUnits == 0, $"first {unit} is {first}, not a multiple of {tileUnits}");
        Require.That(
            op,
            block.Rows > 0 && (end == sourceUnits || (end < sourceUnits && end % tileUnits == 0)),
            $"block ends at {unit} {end}, neither a multiple of {tileUnits} nor the last, {sourceUnits}");
        int firstTile = first / tileUnits;
        int endTile = end == sourceUnits ? destination.ColumnTiles : end / tileUnits;
        return Bind<TSource>(loader, block, destination.Rows, 0, firstTile, endTile - firstTile, destination);
    }

    /// <summary>A block of rows [firstRow, firstRow + block rows), whole row tiles or up to the last row, with all k.</summary>
    public static Launch BindRows<TSource>(KernelLoader loader, string op, Matrix<int> block, int firstRow, WeightMatrix destination)
        where TSource : struct, IInt4Source
    {
        CheckColumns(op, destination);
        Require.Equal(op, "columns of block", block.Columns, "words of a row of destination", destination.Columns / 8);
        RowBlock.Check(op, firstRow, block.Rows, destination.Rows);
        return Bind<TSource>(loader, block, block.Rows, firstRow / Int4Layout.TileRows, 0, destination.ColumnTiles, destination);
    }

    /// <summary>Scales of the destination's 16-bit type; the caller has checked the extents of source.</summary>
    public static Launch BindScales<TSource>(KernelLoader loader, Matrix<ushort> source, WeightMatrix destination)
        where TSource : struct, IInt4Source =>
        loader.Bind(
            PackScalesKernel<TSource>.PackScales,
            new PackScalesKernel<TSource>(source, destination.Scales, destination.Rows, destination.Groups));

    /// <summary>Zero points; the caller has checked the extents of source.</summary>
    public static Launch BindZeros<TSource>(KernelLoader loader, string op, Matrix<int> source, WeightMatrix destination)
        where TSource : struct, IInt4Source
    {
        Require.That(op, !destination.IsSymmetric, $"destination {destination} has no zero points");
        return loader.Bind(
            PackZerosKernel<TSource>.PackZeros,
            new PackZerosKernel<TSource>(source, destination.Zeros, destination.Rows, destination.Groups));
    }

    /// <summary>Words that hold a column of eight rows each.</summary>
    public static int RowWords(int rows) => (rows + 7) / 8;

    private static void CheckColumns(string op, WeightMatrix destination)
    {
        destination.Check(op, "destination", WeightFormat.Int4);
        Require.That(op, destination.Columns % 8 == 0, $"columns of destination are {destination.Columns}, not a multiple of 8");
    }

    private static Launch Bind<TSource>(
        KernelLoader loader, Matrix<int> block, int rows, int firstRowTile, int firstTile, int tiles, WeightMatrix destination)
        where TSource : struct, IInt4Source =>
        loader.Bind(
            PackInt4Kernel<TSource>.PackInt4,
            new PackInt4Kernel<TSource>(block, rows, firstRowTile, firstTile, tiles, destination.Data, destination.ColumnTiles));
}
