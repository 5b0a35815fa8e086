using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y[t, c] = silu(Σ_j weight[c, j] · x[t − (kernel − 1) + j, c]), an item a block of channels of one sequence, row after row.
/// x, y: [T, C] float, y may be x; weight: [C, kernel] float, kernel ≤ 4; tail: [slots, (kernel − 1) · C] float, oldest row first;
/// firstRow: [B + 1], positions: [T], stateSlot: [B].
/// </summary>
internal readonly struct CausalConv1dKernel(
    Matrix<float> x,
    Matrix<float> weight,
    Matrix<float> tail,
    ArrayView<int> firstRow,
    ArrayView<int> positions,
    ArrayView<int> stateSlot,
    Matrix<float> y,
    int sequences,
    int blockWidth) : IPortableKernel
{
    private int Blocks => (x.Columns + blockWidth - 1) / blockWidth;

    public int Items => sequences * Blocks;

    public static void CausalConv1d(Index1D thread, int threads, CausalConv1dKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int blocks = Blocks;
        int sequence = item / blocks;
        int block = item - (sequence * blocks);
        int first = firstRow[sequence];
        int rows = firstRow[sequence + 1] - first;
        if (rows == 0)
            return;

        bool starts = positions[first] == 0;
        ArrayView<float> tailRow = tail.Row(stateSlot[sequence]);
        ArrayView<float> xRows = x.Data.SubView((long)first * x.Stride, ((long)(rows - 1) * x.Stride) + x.Columns);
        ArrayView<float> yRows = y.Data.SubView((long)first * y.Stride, ((long)(rows - 1) * y.Stride) + y.Columns);
        int end = XMath.Min((block + 1) * blockWidth, x.Columns);
        for (int c = block * blockWidth; c < end; c++)
            Channel(c, rows, starts, xRows, yRows, tailRow);
    }

    // Four taps in registers; a shorter kernel has zeros for its oldest ones.
    private void Channel(int c, int rows, bool starts, ArrayView<float> xRows, ArrayView<float> yRows, ArrayView<float> tailRow)
    {
        int kernel = weight.Columns;
        ArrayView<float> taps = weight.Row(c);
        float w0 = kernel > 3 ? taps[kernel - 4] : 0;
        float w1 = kernel > 2 ? taps[kernel - 3] : 0;
        float w2 = taps[kernel - 2];
        float w3 = taps[kernel - 1];

        int channels = x.Columns;
        float x0 = starts || kernel < 4 ? 0 : tailRow[((kernel - 4) * channels) + c];
        float x1 = starts || kernel < 3 ? 0 : tailRow[((kernel - 3) * channels) + c];
        float x2 = starts ? 0 : tailRow[((kernel - 2) * channels) + c];
        for (int t = 0; t < rows; t++)
        {
            float x3 = xRows[((long)t * x.Stride) + c];
            float sum = (w0 * x0) + (w1 * x1) + (w2 * x2) + (w3 * x3);
            yRows[((long)t * y.Stride) + c] = sum / (1 + XMath.Exp(-sum));
            x0 = x1;
            x1 = x2;
            x2 = x3;
        }

        if (kernel > 3)
            tailRow[((kernel - 4) * channels) + c] = x0;
        if (kernel > 2)
            tailRow[((kernel - 3) * channels) + c] = x1;
        tailRow[((kernel - 2) * channels) + c] = x2;
    }
}
