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
[Instantiation(typeof(Fp4Words))]
internal readonly partial struct PackInt4Kernel<TSource>(
    Matrix<int> block,
    int rows,
    int firstRowTile,
    int firstColumnTile,
    int blockColumnTiles,
    ArrayView<UInt4> codes,
    int columnTiles)
    : IPortableKernel
    where TSource : struct, ICodeSource
{
    private const int TileOctets = Int4Layout.TileColumns / 8;

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

    private uint Octet(int row, int octet) => row < rows && octet < TSource.Octets(block) ? TSource.Octet(block, row, octet) : TSource.Padding;
}
