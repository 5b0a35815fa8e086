using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Communication between groups of one launch: what a thread wrote before it releases is seen by every thread of the device that
/// acquires the released value.
/// </summary>
internal static class DeviceScope
{
    [IntrinsicImplementation, Ptx("ld.acquire.gpu.global.s32 $d, [$g0];"), MethodImpl(MethodImplOptions.NoInlining)]
    public static int LoadAcquire(ref int source) => Volatile.Read(ref source);

    [IntrinsicImplementation, Ptx("st.release.gpu.global.s32 [$g0], $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void StoreRelease(ref int target, int value) => Volatile.Write(ref target, value);

    /// <summary>Adds and returns nothing.</summary>
    [IntrinsicImplementation, Ptx("red.release.gpu.global.add.s32 [$g0], $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void AddRelease(ref int target, int value) => Interlocked.Add(ref target, value);

    /// <summary>Adds, returns nothing and orders nothing: for sums that a later launch reads.</summary>
    [IntrinsicImplementation, Ptx("red.relaxed.gpu.global.add.u64 [$g0], $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void Add(ref long target, long value) => Interlocked.Add(ref target, value);

    /// <summary>Adds and returns the value before, as a ticket: acquires and releases.</summary>
    [IntrinsicImplementation, Ptx("atom.acq_rel.gpu.global.add.s32 $d, [$g0], $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static int FetchAdd(ref int target, int value) => Interlocked.Add(ref target, value) - value;

    [IntrinsicImplementation, Ptx("fence.acq_rel.gpu;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void Fence() => Interlocked.MemoryBarrier();
}
