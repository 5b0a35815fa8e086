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

/// <summary>
/// Where the threads of a replay wait for each other between launches: some rounds of spinning, which take half a microsecond where every
/// thread has a core, then the core is given to whoever wants it. A thread that spun on would keep away the very one it waits for.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 192)]
internal sealed class CpuBarrier
{
    private const int Spins = 64;

    // Cache lines of their own: one is written by all that arrive, the other watched by all that wait.
    [FieldOffset(64)]
    private int arrived;

    [FieldOffset(128)]
    private int phase;

    [FieldOffset(132)]
    private volatile bool isBroken;

    /// <summary>A thread has failed and will not arrive: nobody waits any more, until <see cref="Reset"/>.</summary>
    public bool IsBroken => isBroken;

    /// <summary>Returns once so many threads have arrived, with what each of them wrote before, or once the barrier is broken.</summary>
    public void Wait(int threads)
    {
        int now = Volatile.Read(ref phase);
        if (Interlocked.Increment(ref arrived) == threads)
        {
            arrived = 0;
            Volatile.Write(ref phase, now + 1);
            return;
        }

        for (int spins = 0; Volatile.Read(ref phase) == now && !isBroken; spins++)
        {
            if (spins < Spins)
                Thread.SpinWait(1);
            else
                Thread.Yield();
        }
    }

    public void Break() => isBroken = true;

    /// <summary>Ready for the next replay; nobody may be waiting.</summary>
    public void Reset() => (arrived, isBroken) = (0, false);
}
