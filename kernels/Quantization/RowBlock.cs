namespace QwenIlgpu.Kernels;

/// <summary>Which rows of a quantised matrix a block of source rows may become: whole row tiles, but for the matrix's last.</summary>
internal static class RowBlock
{
    public static void Check(string op, int firstRow, int blockRows, int rows)
    {
        const int TileRows = Int4Layout.TileRows;
        int end = firstRow + blockRows;
        Require.That(op, firstRow >= 0 && firstRow % TileRows == 0, $"first row is {firstRow}, not a multiple of {TileRows}");
        Require.That(
            op,
            end == rows || (end < rows && end % TileRows == 0),
            $"block ends at row {end}, neither a multiple of {TileRows} nor the last, {rows}");
    }
}
