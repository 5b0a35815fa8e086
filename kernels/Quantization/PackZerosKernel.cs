using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A checkpoint's zero points of <paramref name="rows"/> rows and <paramref name="groups"/> groups to bytes in the order of the scales;
/// 8 for padding rows. An item is one row tile's group.
/// </summary>
[Instantiation(typeof(GptqV1Zeros))]
[Instantiation(typeof(GptqV2Zeros))]
[Instantiation(typeof(AwqZeros))]
[Instantiation(typeof(CompressedTensorsZeros))]
internal readonly struct PackZerosKernel<TSource>(Matrix<int> source, ArrayView<byte> zeros, int rows, int groups) : IPortableKernel
    where TSource : struct, IZeroSource
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

/// <summary>How a checkpoint format packs zero points, eight in a 32-bit word.</summary>
internal interface IZeroSource
{
    static abstract int Zero(Matrix<int> source, int row, int group);
}

/// <summary>qzeros [G, N / 8] of GPTQ v1, which stores zero − 1 in four bits: 15 stands for 0.</summary>
internal readonly struct GptqV1Zeros : IZeroSource
{
    public static int Zero(Matrix<int> source, int row, int group) => (GptqV2Zeros.Zero(source, row, group) + 1) & 15;
}

/// <summary>qzeros [G, N / 8] of GPTQ v2: bits 4j … of word (G, c) are the zero of row 8c + j.</summary>
internal readonly struct GptqV2Zeros : IZeroSource
{
    public static int Zero(Matrix<int> source, int row, int group) => (source[group, row >> 3] >> ((row & 7) * 4)) & 15;
}

/// <summary>qzeros [G, N / 8] of AWQ, nibbles in the order of its codes.</summary>
internal readonly struct AwqZeros : IZeroSource
{
    public static int Zero(Matrix<int> source, int row, int group) => (source[group, row >> 3] >> AwqWords.Shift(row)) & 15;
}

/// <summary>
/// weight_zero_point [N / 8, G] of compressed-tensors: bits 4j … of word (c, G) are the zero of row 8c + j, eight more than its signed
/// value.
/// </summary>
internal readonly struct CompressedTensorsZeros : IZeroSource
{
    public static int Zero(Matrix<int> source, int row, int group) => (source[row >> 3, group] >> ((row & 7) * 4)) & 15;
}
