using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Copies the rows that the convolution after a chunk will look back at into the ring of the chunk's snapshot slot, an item a chunk and a
/// block of channels. x: [T, C] float; ring: [slots, ringRows · C] float, the row of position p at index p % ringRows.
/// Rows before the step come from the sequence's own ring.
/// </summary>
internal readonly partial struct ConvSnapshotKernel(
    Matrix<float> x,
    Matrix<float> ring,
    int ringRows,
    int lookBackRows,
    ChunkedRows step,
    int blockWidth) : IPortableKernel
{
    private int Blocks => (x.Columns + blockWidth - 1) / blockWidth;

    public int Items => (int)step.SnapshotSlot.Length * Blocks;

    public static void ConvSnapshot(Index1D thread, int threads, ConvSnapshotKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int chunk = item / Blocks;
        int firstChannel = (item - (chunk * Blocks)) * blockWidth;
        int snapshot = step.SnapshotSlot[chunk];
        if (snapshot < 0 || chunk >= step.FirstChunk[(int)step.StateSlot.Length])
            return;
        int sequence = 0;
        while (step.FirstChunk[sequence + 1] <= chunk)
            sequence++;
        int endRow = step.ChunkFirstRow[chunk] + step.RowsOfChunk[chunk];
        int endPosition = step.Positions[endRow - 1] + 1;
        for (int back = 1; back <= lookBackRows && back <= endPosition; back++)
        {
            int row = endRow - back;
            int place = (endPosition - back) % ringRows * x.Columns;
            for (int c = firstChannel; c < firstChannel + blockWidth && c < x.Columns; c++)
                ring[snapshot, place + c] = row >= step.FirstRow[sequence] ? x[row, c] : ring[step.StateSlot[sequence], place + c];
        }
    }
}
