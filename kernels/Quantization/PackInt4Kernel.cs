using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A block of a checkpoint's 4-bit codes to tiles. block: int words of <typeparamref name="TSource"/>, of <paramref name="rows"/> rows of
/// W; codes: the destination's tiles, of which the block fills <paramref name="blockColumnTiles"/> a row tile from
/// (<paramref name="firstRowTile"/>, <paramref name="firstColumnTile"/>) on. An item is four lanes side by side of one tile: rows g and
/// g + 8 by 64 k.
/// </summary>
[Instantiation(typeof(GptqWords))]
[Instantiation(typeof(AwqWords))]
[Instantiation(typeof(CompressedTensorsWords))]
internal readonly partial struct PackInt4Kernel<TSource>(
    Matrix<int> block,
    int rows,
    int firstRowTile,
    int firstColumnTile,
    int blockColumnTiles,
    ArrayView<UInt4> codes,
    int columnTiles)
    : IPortableKernel
    where TSource : struct, IInt4Source
{
    private const int TileOctets = Int4Layout.TileColumns / 8;

    /// <summary>Eight codes that stand for zero.</summary>
    private const uint ZeroWord = 0x88888888u;

    public int Items => Int4Layout.RowTiles(rows) * blockColumnTiles * 8;

    public static void PackInt4(Index1D thread, int threads, PackInt4Kernel<TSource> kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int g = item & 7;
        int tile = (item >> 3) % blockColumnTiles;
        int rowTile = (item >> 3) / blockColumnTiles;
        int row = (rowTile * Int4Layout.TileRows) + g;
        long tileStart = Int4Layout.TileStart(firstRowTile + rowTile, firstColumnTile + tile, columnTiles);
        ArrayView<UInt4> lanes = codes.SubView(tileStart + (4 * g), 4);
        int octet = tile * TileOctets;
        uint a0 = Octet(row, octet), b0 = Octet(row + 8, octet);
        uint a1 = Octet(row, octet + 1), b1 = Octet(row + 8, octet + 1);
        uint a2 = Octet(row, octet + 2), b2 = Octet(row + 8, octet + 2);
        uint a3 = Octet(row, octet + 3), b3 = Octet(row + 8, octet + 3);
        uint a4 = Octet(row, octet + 4), b4 = Octet(row + 8, octet + 4);
        uint a5 = Octet(row, octet + 5), b5 = Octet(row + 8, octet + 5);
        uint a6 = Octet(row, octet + 6), b6 = Octet(row + 8, octet + 6);
        uint a7 = Octet(row, octet + 7), b7 = Octet(row + 8, octet + 7);
        for (int t = 0; t < 4; t++)
        {
            lanes[t] = new UInt4(
                Int4Layout.LaneWord(t, a0, a1, b0, b1),
                Int4Layout.LaneWord(t, a2, a3, b2, b3),
                Int4Layout.LaneWord(t, a4, a5, b4, b5),
                Int4Layout.LaneWord(t, a6, a7, b6, b7));
        }
    }

    private uint Octet(int row, int octet) => row < rows && octet < TSource.Octets(block) ? TSource.Octet(block, row, octet) : ZeroWord;
}

/// <summary>How a checkpoint format packs codes of W [N, K] in 32-bit words; block: whole rows of its matrix of words.</summary>
internal interface IInt4Source
{
    /// <summary>Octets of k that a block has of a row of W.</summary>
    static abstract int Octets(Matrix<int> block);

    /// <summary>The codes of k 8·octet … 8·octet + 7 of a row, four bits each in the order of k; row and octet: within the block.</summary>
    static abstract uint Octet(Matrix<int> block, int row, int octet);
}

/// <summary>qweight [K / 8, N]: bits 4j … of word (o, r) are the code of k = 8o + j.</summary>
internal readonly struct GptqWords : IInt4Source
{
    public static int Octets(Matrix<int> block) => block.Rows;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Octet(Matrix<int> block, int row, int octet) => (uint)block[octet, row];
}

/// <summary>qweight [K, N / 8]: a word holds eight rows of one k, rows 0, 2, 4, 6, 1, 3, 5, 7 in its nibbles 0 … 7.</summary>
internal readonly struct AwqWords : IInt4Source
{
    public static int Octets(Matrix<int> block) => block.Rows >> 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Octet(Matrix<int> block, int row, int octet)
    {
        int shift = Shift(row);
        int column = row >> 3;
        uint codes = 0;
        for (int j = 0; j < 8; j++)
            codes |= (((uint)block[(8 * octet) + j, column] >> shift) & 15u) << (4 * j);
        return codes;
    }

    /// <summary>Where a row's nibble begins: even rows fill a word's lower half, odd rows its upper.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Shift(int row) => (((row & 7) >> 1) * 4) + ((row & 1) * 16);
}

/// <summary>weight_packed [N, K / 8]: bits 4j … of word (r, o) are the code of k = 8o + j, eight more than its signed value.</summary>
internal readonly struct CompressedTensorsWords : IInt4Source
{
    public static int Octets(Matrix<int> block) => block.Columns;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Octet(Matrix<int> block, int row, int octet) => (uint)block[row, octet];
}
