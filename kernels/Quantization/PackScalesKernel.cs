using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A checkpoint's scales of <paramref name="rows"/> rows and <paramref name="groups"/> groups to [row tile][group][16], 16-bit as they
/// are; 0 for padding rows. An item is one row tile's group.
/// </summary>
[Instantiation(typeof(GptqWords))]
[Instantiation(typeof(CompressedTensorsWords))]
internal readonly partial struct PackScalesKernel<TSource>(Matrix<ushort> source, ArrayView<ushort> scales, int rows, int groups) : IPortableKernel
    where TSource : struct, IInt4Source
{
    public int Items => Int4Layout.RowTiles(rows) * groups;

    public static void PackScales(Index1D thread, int threads, PackScalesKernel<TSource> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int group = item % groups;
        int firstRow = item / groups * Int4Layout.TileRows;
        ArrayView<ushort> tile = scales.SubView(Int4Layout.ScaleIndex(firstRow, group, groups), Int4Layout.TileRows);
        for (int r = 0; r < Int4Layout.TileRows; r++)
            tile[r] = firstRow + r < rows ? TSource.Scale(source, firstRow + r, group) : (ushort)0;
    }
}
