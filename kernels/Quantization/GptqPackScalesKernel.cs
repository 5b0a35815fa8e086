using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>GPTQ's scales [G, N] to [row tile][group][16], 16-bit as they are; 0 for padding rows. An item is one row tile's group.</summary>
internal readonly struct GptqPackScalesKernel(Matrix<ushort> source, ArrayView<ushort> scales) : IPortableKernel
{
    public int Items => Int4Layout.RowTiles(source.Columns) * source.Rows;

    public static void GptqPackScales(Index1D thread, int threads, GptqPackScalesKernel kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int group = item % source.Rows;
        int firstRow = item / source.Rows * Int4Layout.TileRows;
        ArrayView<ushort> tile = scales.SubView(Int4Layout.ScaleIndex(firstRow, group, source.Rows), Int4Layout.TileRows);
        ArrayView<ushort> row = source.Row(group);
        for (int r = 0; r < Int4Layout.TileRows; r++)
            tile[r] = firstRow + r < source.Columns ? row[firstRow + r] : (ushort)0;
    }
}
