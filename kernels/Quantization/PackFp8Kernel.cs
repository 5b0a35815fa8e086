using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A block of a checkpoint's E4M3 codes to tiles. block: [R, K / 4], four codes a word; codes: the destination's tiles, of which the block
/// fills whole rows from <paramref name="firstRowTile"/> on. An item is four lanes side by side of one tile: rows g and g + 8 by 32 k.
/// </summary>
internal readonly partial struct PackFp8Kernel(Matrix<uint> block, int firstRowTile, ArrayView<UInt4> codes, int columnTiles) : IPortableKernel
{
    private const int TileOctets = Int8Layout.TileColumns / 8;

    public int Items => Int8Layout.RowTiles(block.Rows) * columnTiles * 8;

    public static void PackFp8(Index1D thread, int threads, PackFp8Kernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int g = item & 7;
        int tile = (item >> 3) % columnTiles;
        int rowTile = (item >> 3) / columnTiles;
        int row = (rowTile * Int8Layout.TileRows) + g;
        ArrayView<UInt4> lanes = codes.SubView(Int8Layout.TileStart(firstRowTile + rowTile, tile, columnTiles) + (4 * g), 4);
        int octet = tile * TileOctets;
        UInt2 a0 = Octet(row, octet), b0 = Octet(row + 8, octet);
        UInt2 a1 = Octet(row, octet + 1), b1 = Octet(row + 8, octet + 1);
        UInt2 a2 = Octet(row, octet + 2), b2 = Octet(row + 8, octet + 2);
        UInt2 a3 = Octet(row, octet + 3), b3 = Octet(row + 8, octet + 3);
        for (int t = 0; t < 4; t++)
        {
            lanes[t] = new UInt4(
                Int8Layout.LaneWord(t, a0, b0), Int8Layout.LaneWord(t, a1, b1), Int8Layout.LaneWord(t, a2, b2), Int8Layout.LaneWord(t, a3, b3));
        }
    }

    private UInt2 Octet(int row, int octet)
    {
        if (row >= block.Rows || 2 * octet >= block.Columns)
            return default;
        ArrayView<uint> words = block.Row(row);
        return new UInt2(words[2 * octet], words[(2 * octet) + 1]);
    }
}
