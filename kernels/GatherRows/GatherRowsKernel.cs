using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>y[i] = x[rows[i]]. x: [T, D] float; rows: [R] int; y: [R, D] float. An item is 64 columns of a row.</summary>
internal readonly partial struct GatherRowsKernel(Matrix<float> x, ArrayView<int> rows, Matrix<float> y) : IPortableKernel
{
    private const int ItemColumns = 64;

    public int Items => y.Rows * RowItems;

    private int RowItems => (int)((uint)(y.Columns + ItemColumns - 1) / ItemColumns);

    public static void GatherRows(Index1D thread, int threads, GatherRowsKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / RowItems;
        int start = item % RowItems * ItemColumns;
        ArrayView<float> xRow = x.Row(rows[row]);
        ArrayView<float> yRow = y.Row(row);
        for (int column = start; column < start + ItemColumns && column < y.Columns; column++)
            yRow[column] = xRow[column];
    }
}
