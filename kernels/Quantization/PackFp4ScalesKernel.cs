using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// E4M3 scales of <paramref name="rows"/> rows and <paramref name="groups"/> groups to <see cref="Fp4Layout"/>'s slots, 0 for padding rows
/// and groups. source: [N, groups] bytes, or half as many a row with <paramref name="groupShift"/> 1; an item is a slot of a row tile.
/// </summary>
internal readonly partial struct PackFp4ScalesKernel(
    Matrix<byte> source, int groupShift, uint global, ArrayView<ushort> scales, int rows, int groups, int slots) : IPortableKernel
{
    public int Items => Int4Layout.RowTiles(rows) * slots;

    public static void PackFp4Scales(Index1D thread, int threads, PackFp4ScalesKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int slot = item % slots;
        int firstRow = item / slots * Int4Layout.TileRows;
        ArrayView<ushort> tile = scales.SubView(Fp4Layout.SlotIndex(firstRow, slot, slots), Int4Layout.TileRows);
        for (int r = 0; r < Int4Layout.TileRows; r++)
            tile[r] = firstRow + r < rows ? Element(firstRow + r, slot) : (ushort)0;
    }

    private ushort Element(int row, int slot)
    {
        if (slot < Fp4Layout.GlobalSlots)
            return (ushort)(slot == 0 ? global >> 16 : global);
        int group = 2 * (slot - Fp4Layout.GlobalSlots);
        return (ushort)(Scale(row, group) | (Scale(row, group + 1) << 8));
    }

    private uint Scale(int row, int group) => group < groups ? source[row, group >> groupShift] : 0u;
}
