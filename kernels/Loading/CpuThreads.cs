using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.IR.Intrinsics;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The threads of a CPU accelerator, which go through one <see cref="CpuSequence"/> after the other. Each is a single launch of ILGPU's,
/// always of the same kernel: a launch costs some thirty microseconds, a barrier inside it half of one. ILGPU runs a launch to its end
/// before it returns. Threads that the accelerator has besides return at once.
/// </summary>
internal sealed class CpuThreads : IDisposable
{
    private readonly Lock gate = new();
    private readonly CpuBarrier barrier = new();
    private readonly Action<AcceleratorStream, Index1D, CpuReplayKernel> launch;
    private GCHandle self;
    private CpuSequence? running;
    private Exception? failure;

    public CpuThreads(Accelerator accelerator, int count)
    {
        if (count < 1 || count > accelerator.MaxNumThreads)
            throw new ArgumentOutOfRangeException(nameof(count), count, $"the CPU accelerator has 1 to {accelerator.MaxNumThreads} threads");
        Count = count;
        launch = accelerator.LoadAutoGroupedKernel<Index1D, CpuReplayKernel>(CpuReplayKernel.Replay);
        self = GCHandle.Alloc(this);
    }

    /// <summary>Threads that take part.</summary>
    public int Count { get; }

    /// <summary>Runs a sequence to its end. What a kernel throws is thrown here.</summary>
    public void Run(AcceleratorStream stream, CpuSequence sequence)
    {
        lock (gate)
        {
            running = sequence;
            launch(stream, new Index1D(Count), new CpuReplayKernel(GCHandle.ToIntPtr(self)));
            stream.Synchronize();
            running = null;
            if (failure is not { } thrown)
                return;
            failure = null;
            barrier.Reset();
            ExceptionDispatchInfo.Throw(thrown);
        }
    }

    public void Dispose()
    {
        if (self.IsAllocated)
            self.Free();
    }

    /// <summary>One of the threads of the launch that is running.</summary>
    internal static void Enter(nint handle, int thread) => ((CpuThreads)GCHandle.FromIntPtr(handle).Target!).Enter(thread);

    // An exception that leaves a kernel ends the process.
    private void Enter(int thread)
    {
        try
        {
            running!.Run(thread, Count, barrier);
        }
        catch (Exception thrown)
        {
            failure = thrown;
            barrier.Break();
        }
    }
}

/// <summary>The one kernel that ILGPU launches on the CPU: it enters the threads that it was given.</summary>
internal readonly struct CpuReplayKernel(long threads)
{
    public static void Replay(Index1D thread, CpuReplayKernel kernel) => Enter(kernel.threads, thread);

    // ILGPU does not look into an intrinsic: its body is for the CPU alone.
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    private static void Enter(long threads, int thread) => CpuThreads.Enter((nint)threads, thread);

    private readonly long threads = threads;
}
