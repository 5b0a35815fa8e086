using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y[t, p] = x[t, columns[p]]. x: [T, K] float; columns: [P] int; y: [T, P] float. An item is an element: a decode step has one row and
/// wants threads for it, and neighbours of a warp write side by side.
/// </summary>
internal readonly partial struct GatherColumnsKernel(Matrix<float> x, ArrayView<int> columns, Matrix<float> y) : IPortableKernel
{
    public int Items => y.Rows * y.Columns;

    public static void GatherColumns(Index1D thread, int threads, GatherColumnsKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = (int)((uint)item / (uint)y.Columns);
        int column = item - (row * y.Columns);
        y[row, column] = x[row, columns[column]];
    }
}
