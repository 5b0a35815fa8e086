using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A thread has the same channels, whole cache lines, of every sequence, and of them a tile at a time through all rows: the tile's taps, one
/// row of memory a tap, and its last three rows of x lie in the thread's own memory.
/// </summary>
internal readonly unsafe partial struct CausalConv1dKernel : ICpuShare
{
    private const int TileChannels = 256;
    private const int Taps = 4;

    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart channels = CpuPart.Of(x.Columns, CpuVectors.Width, thread, threads);
        for (int channel = channels.From; channel < channels.To; channel += TileChannels)
        {
            int count = Math.Min(TileChannels, channels.To - channel);
            if (sequences > 0 && channel + count < channels.To)
                Prefetch(channel + count, Math.Min(TileChannels, channels.To - channel - count));
            float* taps = CpuVectors.Scratch((Taps + 3) * TileChannels);
            GatherTaps(channel, count, taps);
            for (int sequence = 0; sequence < sequences; sequence++)
            {
                if (step.FirstRow[sequence] < step.FirstRow[sequence + 1])
                    Tile(sequence, channel, count, taps, taps + (Taps * TileChannels));
            }
        }
    }

    // Of the next tile the weights and, of the first sequence, the memory: short pieces far apart, which no core foresees.
    private void Prefetch(int channel, int count)
    {
        float* weights = CpuVectors.Row(weight, channel);
        for (int i = 0; i < count * weight.Stride; i += CpuVectors.Width)
            Sse.Prefetch0(weights + i);
        float* slot = CpuVectors.Row(ring, step.StateSlot[0]) + channel;
        for (int row = 0; row < ringRows; row++)
        {
            for (int i = 0; i < count; i += CpuVectors.Width)
                Sse.Prefetch0(slot + ((long)row * x.Columns) + i);
        }
    }

    // taps: [4, TileChannels], zeros for the oldest of a shorter kernel and behind the last channel.
    private void GatherTaps(int channel, int count, float* taps)
    {
        float* weights = CpuVectors.Row(weight, channel);
        int whole = weight.Columns == Taps && weight.Stride == Taps ? count & ~7 : 0;
        TransposeTaps(weights, whole, taps);
        for (int tap = 0; tap < Taps; tap++)
        {
            int column = tap - (Taps - weight.Columns);
            for (int c = whole; c < ((count + 15) & ~15); c++)
                taps[(tap * TileChannels) + c] = c < count && column >= 0 ? weights[((long)c * weight.Stride) + column] : 0;
        }
    }

    // Eight channels of four taps at a time: channels i and 4 + i in the halves of a register, then 4 × 4 in each half.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TransposeTaps(float* weights, int count, float* taps)
    {
        for (int c = 0; c < count; c += 8)
        {
            float* from = weights + (c * Taps);
            var r0 = Vector256.Create(Vector128.Load(from), Vector128.Load(from + 16));
            var r1 = Vector256.Create(Vector128.Load(from + 4), Vector128.Load(from + 20));
            var r2 = Vector256.Create(Vector128.Load(from + 8), Vector128.Load(from + 24));
            var r3 = Vector256.Create(Vector128.Load(from + 12), Vector128.Load(from + 28));
            Vector256<double> low01 = Avx.UnpackLow(r0, r1).AsDouble();
            Vector256<double> low23 = Avx.UnpackLow(r2, r3).AsDouble();
            Vector256<double> high01 = Avx.UnpackHigh(r0, r1).AsDouble();
            Vector256<double> high23 = Avx.UnpackHigh(r2, r3).AsDouble();
            Avx.UnpackLow(low01, low23).AsSingle().Store(taps + c);
            Avx.UnpackHigh(low01, low23).AsSingle().Store(taps + TileChannels + c);
            Avx.UnpackLow(high01, high23).AsSingle().Store(taps + (2 * TileChannels) + c);
            Avx.UnpackHigh(high01, high23).AsSingle().Store(taps + (3 * TileChannels) + c);
        }
    }

    private void Tile(int sequence, int channel, int count, float* taps, float* past)
    {
        int first = step.FirstRow[sequence];
        int rows = step.FirstRow[sequence + 1] - first;
        int position = step.Positions[first];
        float* slot = CpuVectors.Row(ring, step.StateSlot[sequence]) + channel;
        float* oldest = past;
        float* older = past + TileChannels;
        float* old = past + (2 * TileChannels);
        Recall(slot, weight.Columns > 3 ? position - 3 : -1, count, oldest);
        Recall(slot, weight.Columns > 2 ? position - 2 : -1, count, older);
        Recall(slot, position - 1, count, old);

        int firstKept = Math.Max(rows - ringRows, 0);
        int place = (position + firstKept) % ringRows;
        for (int t = 0; t < rows; t++)
        {
            float* xRow = CpuVectors.Row(x, first + t) + channel;
            if (t >= firstKept)
            {
                Unsafe.CopyBlock(slot + ((long)place * x.Columns), xRow, (uint)count * sizeof(float));
                place = place + 1 == ringRows ? 0 : place + 1;
            }

            Convolve(xRow, CpuVectors.Row(y, first + t) + channel, count, taps, oldest, older, old);
            float* newest = oldest;                             // Convolve left it there
            oldest = older;
            older = old;
            old = newest;
        }
    }

    // The row of a position, zeros before the first.
    private void Recall(float* slot, int position, int count, float* row)
    {
        if (position < 0)
            new Span<float>(row, count).Clear();
        else
            Unsafe.CopyBlock(row, slot + ((long)(position % ringRows) * x.Columns), (uint)count * sizeof(float));
    }

    // One row of a tile; x takes the oldest row's place, and y may be x.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Convolve(float* x, float* y, int count, float* taps, float* oldest, float* older, float* old)
    {
        for (int c = 0; c < count; c += CpuVectors.Width)
        {
            Vector512<float> newest = CpuVectors.LoadFirst(x + c, count - c);
            Vector512<float> sum = Vector512.Load(taps + c) * Vector512.Load(oldest + c);
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(taps + TileChannels + c), Vector512.Load(older + c), sum);
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(taps + (2 * TileChannels) + c), Vector512.Load(old + c), sum);
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(taps + (3 * TileChannels) + c), newest, sum);
            newest.Store(oldest + c);
            CpuVectors.StoreFirst(CpuVectors.Silu(sum), y + c, count - c);
        }
    }
}
