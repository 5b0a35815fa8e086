using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// source: a scale for each <paramref name="blockRows"/> × <paramref name="blockColumns"/> of W, blocks cut off at its edges; scales: the
/// destination's, [row tile][group][16] of <paramref name="rows"/> rows, 0 for padding rows. An item is one row tile's group.
/// </summary>
internal readonly struct PackBlockScalesKernel(
    Matrix<float> source, int blockRows, int blockColumns, ArrayView<float> scales, int rows, int groups, int groupSize) : IPortableKernel
{
    public int Items => Int8Layout.RowTiles(rows) * groups;

    public static void PackBlockScales(Index1D thread, int threads, PackBlockScalesKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int group = item % groups;
        int firstRow = item / groups * Int8Layout.TileRows;
        int block = group * groupSize / blockColumns;
        ArrayView<float> tile = scales.SubView(Int8Layout.ScaleIndex(firstRow, group, groups), Int8Layout.TileRows);
        for (int r = 0; r < Int8Layout.TileRows; r++)
            tile[r] = firstRow + r < rows ? source[(firstRow + r) / blockRows, block] : 0;
    }
}
