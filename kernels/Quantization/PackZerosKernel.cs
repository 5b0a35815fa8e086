using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A checkpoint's zero points of <paramref name="rows"/> rows and <paramref name="groups"/> groups to bytes in the order of the scales;
/// 8 for padding rows. An item is one row tile's group.
/// </summary>
[Instantiation(typeof(GptqV1Words))]
[Instantiation(typeof(GptqWords))]
[Instantiation(typeof(AwqWords))]
[Instantiation(typeof(CompressedTensorsWords))]
internal readonly struct PackZerosKernel<TSource>(Matrix<int> source, ArrayView<byte> zeros, int rows, int groups) : IPortableKernel
    where TSource : struct, IInt4Source
{
    public int Items => Int4Layout.RowTiles(rows) * groups;

    public static void PackZeros(Index1D thread, int threads, PackZerosKernel<TSource> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int group = item % groups;
        int firstRow = item / groups * Int4Layout.TileRows;
        ArrayView<byte> tile = zeros.SubView(Int4Layout.ScaleIndex(firstRow, group, groups), Int4Layout.TileRows);
        for (int r = 0; r < Int4Layout.TileRows; r++)
            tile[r] = (byte)(firstRow + r < rows ? TSource.Zero(source, firstRow + r, group) : Int4Layout.Zero);
    }
}
