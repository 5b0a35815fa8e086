using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels;

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
