using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Copies from global to shared memory that run beside the thread. A thread's copies since its last commit are a group; what a group
/// brought may be read by that thread after a wait that covers it, and by others after a barrier behind that wait.
/// </summary>
/// <remarks>
/// On the CPU accelerator a copy first overwrites its destination with ones (NaN in every float type) and delivers at the wait, so that
/// a missing wait shows.
/// </remarks>
internal static class AsyncCopy
{
    /// <summary>16 bytes past L1.</summary>
    [IntrinsicImplementation, Ptx("cp.async.cg.shared.global [$s0], [$g1], 16;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void Copy16(ref UInt4 shared, ref UInt4 global) => PendingCopies.Start(ref shared, ref global);

    /// <summary>16 bytes, or zeros where the source is not there: global is not read then, but must name an element all the same.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("{ .reg .u32 n; selp.u32 n, 16, 0, $2; cp.async.cg.shared.global [$s0], [$g1], 16, n; }")]
    public static void Copy16OrZero(ref UInt4 shared, ref UInt4 global, bool present)
    {
        if (present)
            PendingCopies.Start(ref shared, ref global);
        else
            PendingCopies.StartZero(ref shared);
    }

    /// <summary>16 bytes past L1, with a hint from <see cref="CachePolicy"/>.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("cp.async.cg.shared.global.L2::cache_hint [$s0], [$g1], 16, $2;")]
    public static void Copy16Hinted(ref UInt4 shared, ref UInt4 global, ulong policy) => PendingCopies.Start(ref shared, ref global);

    /// <summary>Closes a group, which may be empty.</summary>
    [IntrinsicImplementation, Ptx("cp.async.commit_group;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void Commit() => PendingCopies.Commit();

    /// <summary>Waits for every group.</summary>
    [IntrinsicImplementation, Ptx("cp.async.wait_group 0;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void Wait0() => PendingCopies.Wait(0);

    /// <summary>Waits for every group but the last one.</summary>
    [IntrinsicImplementation, Ptx("cp.async.wait_group 1;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void Wait1() => PendingCopies.Wait(1);

    /// <summary>Waits for every group but the last three.</summary>
    [IntrinsicImplementation, Ptx("cp.async.wait_group 3;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void Wait3() => PendingCopies.Wait(3);
}
