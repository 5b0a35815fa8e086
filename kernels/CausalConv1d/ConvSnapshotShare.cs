using System.Runtime.CompilerServices;

namespace QwenIlgpu.Kernels;

/// <summary>A thread has the same channels, whole cache lines, of every chunk.</summary>
internal readonly unsafe partial struct ConvSnapshotKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart channels = CpuPart.Of(x.Columns, CpuVectors.Width, thread, threads);
        for (int sequence = 0; sequence < step.StateSlot.Length; sequence++)
        {
            for (int chunk = step.FirstChunk[sequence]; chunk < step.FirstChunk[sequence + 1]; chunk++)
            {
                if (step.SnapshotSlot[chunk] >= 0)
                    Snapshot(sequence, chunk, channels);
            }
        }
    }

    private void Snapshot(int sequence, int chunk, CpuPart channels)
    {
        int endRow = step.ChunkFirstRow[chunk] + step.RowsOfChunk[chunk];
        int endPosition = step.Positions[endRow - 1] + 1;
        for (int back = 1; back <= lookBackRows && back <= endPosition; back++)
        {
            int row = endRow - back;
            long place = ((long)((endPosition - back) % ringRows) * x.Columns) + channels.From;
            float* from = row >= step.FirstRow[sequence]
                ? CpuVectors.Row(x, row) + channels.From
                : CpuVectors.Row(ring, step.StateSlot[sequence]) + place;
            Unsafe.CopyBlock(CpuVectors.Row(ring, step.SnapshotSlot[chunk]) + place, from, (uint)(channels.To - channels.From) * sizeof(float));
        }
    }
}
