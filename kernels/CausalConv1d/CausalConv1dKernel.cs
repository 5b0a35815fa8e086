using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y[t, c] = silu(Σ_j weight[c, j] · x[t − (kernel − 1) + j, c]), an item a block of channels of one sequence, row after row.
/// x, y: [T, C] float, y may be x; weight: [C, kernel] float, kernel ≤ 4; ring: [slots, ringRows · C] float, the row of
/// position p at index p % ringRows.
/// </summary>
internal readonly partial struct CausalConv1dKernel(
    Matrix<float> x,
    Matrix<float> weight,
    Matrix<float> ring,
    int ringRows,
    SlotRows step,
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
        int first = step.FirstRow[sequence];
        int rows = step.FirstRow[sequence + 1] - first;
        if (rows == 0)
            return;

        int position = step.Positions[first];
        ArrayView<float> slot = ring.Row(step.StateSlot[sequence]);
        ArrayView<float> xRows = x.Data.SubView((long)first * x.Stride, ((long)(rows - 1) * x.Stride) + x.Columns);
        ArrayView<float> yRows = y.Data.SubView((long)first * y.Stride, ((long)(rows - 1) * y.Stride) + y.Columns);
        int end = XMath.Min((block + 1) * blockWidth, x.Columns);
        for (int c = block * blockWidth; c < end; c++)
            Channel(c, rows, position, xRows, yRows, slot);
    }

    // Four taps in registers; a shorter kernel has zeros for its oldest ones. Of the rows the ring takes as many as it holds.
    private void Channel(int c, int rows, int position, ArrayView<float> xRows, ArrayView<float> yRows, ArrayView<float> slot)
    {
        int kernel = weight.Columns;
        ArrayView<float> taps = weight.Row(c);
        float w0 = kernel > 3 ? taps[kernel - 4] : 0;
        float w1 = kernel > 2 ? taps[kernel - 3] : 0;
        float w2 = taps[kernel - 2];
        float w3 = taps[kernel - 1];

        float x0 = kernel > 3 ? History(slot, position - 3, c) : 0;
        float x1 = kernel > 2 ? History(slot, position - 2, c) : 0;
        float x2 = History(slot, position - 1, c);
        int firstKept = XMath.Max(rows - ringRows, 0);
        int place = (position + firstKept) % ringRows;
        for (int t = 0; t < rows; t++)
        {
            float x3 = xRows[((long)t * x.Stride) + c];
            float sum = (w0 * x0) + (w1 * x1) + (w2 * x2) + (w3 * x3);
            yRows[((long)t * y.Stride) + c] = sum / (1 + XMath.Exp(-sum));
            x0 = x1;
            x1 = x2;
            x2 = x3;
            if (t >= firstKept)
            {
                slot[(place * x.Columns) + c] = x3;
                place = place + 1 == ringRows ? 0 : place + 1;
            }
        }
    }

    private float History(ArrayView<float> slot, int position, int c) =>
        position < 0 ? 0 : slot[(position % ringRows * x.Columns) + c];
}
