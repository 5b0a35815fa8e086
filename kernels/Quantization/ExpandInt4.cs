using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// INT4 weights as plain bf16 ones, scale · (code − 8) rounded: what a matmul of very many tokens could multiply instead of the codes.
/// A benchmark holds that against the matmul on codes; nothing else uses it.
/// </summary>
internal static class ExpandInt4
{
    private const string Op = "expand_int4";

    /// <summary>
    /// Rows firstRow … of symmetric weights with bf16 scales into rows: bf16 [count, K], K a multiple of 8.
    /// </summary>
    public static Launch Bind(KernelLoader loader, WeightMatrix weights, int firstRow, WeightMatrix rows)
    {
        weights.Check(Op, "weights", WeightFormat.Int4);
        rows.Check(Op, "rows", WeightFormat.Dense);
        Require.That(Op, weights.IsSymmetric && weights.Type == WeightType.Bf16, $"{weights} is not symmetric with bf16 scales");
        Require.That(Op, rows.Type == WeightType.Bf16, $"rows are {rows.Type}, not Bf16");
        Require.Equal(Op, "columns of rows", rows.Columns, "columns of weights", weights.Columns);
        Require.That(Op, rows.Columns % 8 == 0, $"columns are {rows.Columns}, not a multiple of 8");
        Require.That(
            Op, firstRow >= 0 && firstRow + rows.Rows <= weights.Rows, $"rows {firstRow} to {firstRow + rows.Rows} of {weights.Rows} are asked for");
        return loader.Bind(
            ExpandInt4Kernel.ExpandInt4,
            new ExpandInt4Kernel(
                weights.Data.Cast<uint>(), weights.Scales, weights.Groups, weights.GroupSize, weights.ColumnTiles, firstRow,
                rows.Words));
    }
}

/// <summary>
/// y[r, k] = bf16(scale · (code − 8)) of row firstRow + r, an item eight k: a word of a lane holds two of them, four lanes side by side
/// all. codes: tiles of <see cref="Int4Layout"/> in 32-bit words; scales: bf16 in their order; y: [rows, K / 8] words of eight bf16.
/// </summary>
internal readonly struct ExpandInt4Kernel(
    ArrayView<uint> codes, ArrayView<ushort> scales, int groups, int groupSize, int columnTiles, int firstRow, Matrix<UInt4> y)
    : IPortableKernel
{
    public int Items => y.Rows * y.Columns;

    public static void ExpandInt4(Index1D thread, int threads, ExpandInt4Kernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / y.Columns;
        int word = item - (row * y.Columns);
        int weightRow = firstRow + row;
        int rowInTile = weightRow & (Int4Layout.TileRows - 1);
        int k = 8 * word;
        float scale = Bf16.ToFloat(scales[Int4Layout.ScaleIndex(weightRow, k / groupSize, groups)]);
        int rowTile = (int)((uint)weightRow / Int4Layout.TileRows);
        int columnTile = (int)((uint)k / Int4Layout.TileColumns);
        long lane = Int4Layout.TileStart(rowTile, columnTile, columnTiles) + ((rowInTile & 7) * 4);
        long at = (4 * lane) + ((k & (Int4Layout.TileColumns - 1)) >> 4);
        int nibble = ((k & 15) >> 3 << 1) + (rowInTile >> 3);
        y[row, word] = new UInt4(
            Pair(codes[at], nibble, scale), Pair(codes[at + 4], nibble, scale), Pair(codes[at + 8], nibble, scale),
            Pair(codes[at + 12], nibble, scale));
    }

    private static uint Pair(uint word, int nibble, float scale) =>
        Bf16.FromFloat(scale * Int4Layout.Unpack(word, nibble)) | ((uint)Bf16.FromFloat(scale * Int4Layout.Unpack(word, nibble + 4)) << 16);
}
