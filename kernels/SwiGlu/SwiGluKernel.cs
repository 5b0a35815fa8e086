using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>y = silu(gate) · up. gate, up, y: [T, F] float; y may be gate or up. An item is 16 columns of a row.</summary>
internal readonly partial struct SwiGluKernel(Matrix<float> gate, Matrix<float> up, Matrix<float> y) : IPortableKernel
{
    private const int ItemColumns = 16;

    public int Items => y.Rows * RowItems;

    private int RowItems => (int)((uint)(y.Columns + ItemColumns - 1) / ItemColumns);

    public static void SwiGlu(Index1D thread, int threads, SwiGluKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / RowItems;
        int start = item % RowItems * ItemColumns;
        ArrayView<float> gateRow = gate.Row(row);
        ArrayView<float> upRow = up.Row(row);
        ArrayView<float> yRow = y.Row(row);
        for (int column = start; column < start + ItemColumns && column < y.Columns; column++)
        {
            // exp(−g) overflows to infinity below g = −88, where g / (1 + exp(−g)) is −0 as it should be.
            float g = gateRow[column];
            yRow[column] = g / (1 + XMath.Exp(-g)) * upRow[column];
        }
    }
}
