using System.Diagnostics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Launches that CPU threads go through together, one after the other, as one launch of ILGPU's. Small ones are done by the first thread
/// alone, without meeting the others between neighbours: a barrier would cost more than the help is worth.
/// </summary>
internal sealed class CpuSequence
{
    private readonly Action<int, int>[] parts;
    private readonly bool[] isShared;
    private long[]? ticks;

    private CpuSequence(Action<int, int>[] parts, bool[] isShared) => (this.parts, this.isShared) = (parts, isShared);

    /// <summary>One launch of its own, shared by all threads.</summary>
    public static CpuSequence Of(Action<int, int> part) => new([part], [true]);

    /// <summary>Launches of a CPU device in their order, each with whether threads share it.</summary>
    public static CpuSequence Of(IReadOnlyList<(Launch Launch, bool IsShared)> launches)
    {
        (Launch Launch, bool IsShared)[] kept = [.. launches.Where(l => !l.Launch.IsEmpty)];
        return new CpuSequence(
            [.. kept.Select(l => l.Launch.CpuPart ?? throw new ArgumentException($"launch {l.Launch.Name} is none of single CPU threads"))],
            [.. kept.Select(l => l.IsShared)]);
    }

    /// <summary>
    /// Once asked for, what each launch took in all runs since, in ticks of <see cref="Stopwatch"/>: from the end of the one before, by the
    /// first thread's clock, waiting for the others included.
    /// </summary>
    public ReadOnlySpan<long> Ticks => ticks ??= new long[parts.Length];

    /// <summary>What one of so many threads does. All of them go through it at the same time.</summary>
    public void Run(int thread, int threads, CpuBarrier barrier)
    {
        long[]? timed = thread == 0 ? ticks : null;
        long last = timed is null ? 0 : Stopwatch.GetTimestamp();
        for (int i = 0; i < parts.Length && !barrier.IsBroken; i++)
        {
            if (isShared[i])
                parts[i](thread, threads);
            else if (thread == 0)
                parts[i](0, 1);
            if (threads > 1 && i + 1 < parts.Length && (isShared[i] || isShared[i + 1]))
                barrier.Wait(threads);
            if (timed is null)
                continue;
            long now = Stopwatch.GetTimestamp();
            timed[i] += now - last;
            last = now;
        }
    }
}
