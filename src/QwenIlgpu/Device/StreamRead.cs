using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The bandwidth that CPU threads could read weights with: each streams through its part of memory much larger than the caches, in vectors
/// of 64 bytes that are only summed.
/// </summary>
internal static unsafe class StreamRead
{
    private const long MostBytes = 512L << 20;
    private const long LeastBytes = 16L << 20;
    private const int BlockBytes = 4096;
    private const int LeastPasses = 3;
    private static readonly TimeSpan Enough = TimeSpan.FromSeconds(0.1);

    /// <summary>Bytes a second of the median of the passes that a tenth of a second holds: what steps, of which medians are told too, can be held against.</summary>
    public static double MeasureBytesPerSecond(int threads) => MeasureBytesPerSecond(threads, BytesFor(AvailableMemory.Bytes()));

    /// <summary>The same through so much memory, in whole blocks of 4 KB.</summary>
    public static double MeasureBytesPerSecond(int threads, long bytes)
    {
        int blocks = (int)(bytes / BlockBytes);
        using var memory = new HostPages((long)blocks * BlockBytes);
        using var passes = new Passes((byte*)memory.Address, blocks, threads);
        return (double)blocks * BlockBytes / passes.MedianSeconds();
    }

    /// <summary>As much memory as makes caches small, a quarter of what is available at most.</summary>
    internal static long BytesFor(long availableBytes) => Math.Clamp(availableBytes / 4, LeastBytes, MostBytes) / BlockBytes * BlockBytes;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static ulong Sum(byte* from, byte* to)
    {
        const int Bytes = 64;
        Vector512<ulong> a = default, b = default, c = default, d = default;
        for (; from < to; from += 8 * Bytes)
        {
            a += Vector512.Load((ulong*)from) ^ Vector512.Load((ulong*)(from + Bytes));
            b += Vector512.Load((ulong*)(from + (2 * Bytes))) ^ Vector512.Load((ulong*)(from + (3 * Bytes)));
            c += Vector512.Load((ulong*)(from + (4 * Bytes))) ^ Vector512.Load((ulong*)(from + (5 * Bytes)));
            d += Vector512.Load((ulong*)(from + (6 * Bytes))) ^ Vector512.Load((ulong*)(from + (7 * Bytes)));
        }

        return Vector512.Sum(a + b + c + d);
    }

    /// <summary>Threads that meet before and after each pass; the calling one is the first of them.</summary>
    private sealed class Passes : IDisposable
    {
        private readonly byte* memory;
        private readonly int blocks;
        private readonly Barrier barrier;
        private readonly Thread[] others;
        private readonly ulong[] sums;
        private volatile bool isOver;

        public Passes(byte* memory, int blocks, int threads)
        {
            this.memory = memory;
            this.blocks = blocks;
            barrier = new Barrier(threads);
            sums = new ulong[threads];
            others = [.. Enumerable.Range(1, threads - 1).Select(thread => new Thread(() => Follow(thread)) { IsBackground = true })];
        }

        public double MedianSeconds()
        {
            foreach (Thread thread in others)
                thread.Start();
            Touch(0);
            long began = 0;
            var passes = new List<double>();
            for (int pass = 0; pass < LeastPasses || Stopwatch.GetElapsedTime(began) < Enough; pass++)
            {
                barrier.SignalAndWait();
                long start = Stopwatch.GetTimestamp();
                began = pass == 0 ? start : began;
                Read(0);
                barrier.SignalAndWait();
                passes.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            }

            isOver = true;
            barrier.SignalAndWait();
            foreach (Thread thread in others)
                thread.Join();
            return Median.Of(passes);
        }

        public void Dispose() => barrier.Dispose();

        private void Follow(int thread)
        {
            Touch(thread);
            for (barrier.SignalAndWait(); !isOver; barrier.SignalAndWait())
            {
                Read(thread);
                barrier.SignalAndWait();
            }
        }

        // Pages that nobody has written may all be the same page; each thread's lie near it.
        private void Touch(int thread)
        {
            CpuPart part = CpuPart.Of(blocks, thread, sums.Length);
            NativeMemory.Fill(memory + ((long)part.From * BlockBytes), (nuint)(part.To - part.From) * BlockBytes, 1);
        }

        private void Read(int thread)
        {
            CpuPart part = CpuPart.Of(blocks, thread, sums.Length);
            sums[thread] += Sum(memory + ((long)part.From * BlockBytes), memory + ((long)part.To * BlockBytes));
        }
    }
}
