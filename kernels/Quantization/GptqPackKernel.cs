using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A block of GPTQ's qweight to tiles. block: [words, N] int of qweight rows from firstWord on, word (r, o) holding the codes of input
/// 8r … 8r + 7 of output o; codes: the destination's tiles. An item is four lanes side by side of one tile: rows g and g + 8 by 64 k.
/// </summary>
internal readonly struct GptqPackKernel(
    Matrix<int> block, int firstColumnTile, int blockColumnTiles, ArrayView<UInt4> codes, int columnTiles) : IPortableKernel
{
    private const int WordCodes = 8;
    private const int TileWords = Int4Layout.TileColumns / WordCodes;

    /// <summary>Eight codes that stand for zero.</summary>
    private const uint ZeroWord = 0x88888888u;

    public int Items => Int4Layout.RowTiles(block.Columns) * blockColumnTiles * 8;

    public static void GptqPack(Index1D thread, int threads, GptqPackKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int g = item % 8;
        int tile = item / 8 % blockColumnTiles;
        int rowTile = item / 8 / blockColumnTiles;
        int row = (rowTile * Int4Layout.TileRows) + g;
        ArrayView<UInt4> lanes = codes.SubView(Int4Layout.TileStart(rowTile, firstColumnTile + tile, columnTiles) + (4 * g), 4);
        int word = tile * TileWords;
        uint a0 = Source(word, row), b0 = Source(word, row + 8);
        uint a1 = Source(word + 1, row), b1 = Source(word + 1, row + 8);
        uint a2 = Source(word + 2, row), b2 = Source(word + 2, row + 8);
        uint a3 = Source(word + 3, row), b3 = Source(word + 3, row + 8);
        uint a4 = Source(word + 4, row), b4 = Source(word + 4, row + 8);
        uint a5 = Source(word + 5, row), b5 = Source(word + 5, row + 8);
        uint a6 = Source(word + 6, row), b6 = Source(word + 6, row + 8);
        uint a7 = Source(word + 7, row), b7 = Source(word + 7, row + 8);
        for (int t = 0; t < 4; t++)
        {
            lanes[t] = new UInt4(
                Int4Layout.LaneWord(t, a0, a1, b0, b1),
                Int4Layout.LaneWord(t, a2, a3, b2, b3),
                Int4Layout.LaneWord(t, a4, a5, b4, b5),
                Int4Layout.LaneWord(t, a6, a7, b6, b7));
        }
    }

    private uint Source(int word, int row) => word < block.Rows && row < block.Columns ? (uint)block[word, row] : ZeroWord;
}
