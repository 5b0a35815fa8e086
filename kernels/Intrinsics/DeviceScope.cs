using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Communication between groups of one launch: what a thread wrote before it releases is seen by every thread of the device that
/// acquires the released value.
/// </summary>
/// <remarks>ILGPU's own atomics name no address space in OpenCL C, which PoCL refuses; so these have a text.</remarks>
internal static class DeviceScope
{
    private const string OpenClFence = "atomic_work_item_fence(CLK_GLOBAL_MEM_FENCE, memory_order_acq_rel, memory_scope_device)";

    [IntrinsicImplementation, Ptx("ld.acquire.gpu.global.s32 $d, [$g0];"), MethodImpl(MethodImplOptions.NoInlining)]
    [OpenCl("$d = atomic_add($0, 0); " + OpenClFence)]
    public static int LoadAcquire(ref int source) => Volatile.Read(ref source);

    [IntrinsicImplementation, Ptx("st.release.gpu.global.s32 [$g0], $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    [OpenCl(OpenClFence + "; atomic_xchg($0, $1)")]
    public static void StoreRelease(ref int target, int value) => Volatile.Write(ref target, value);

    /// <summary>Adds and returns nothing.</summary>
    [IntrinsicImplementation, Ptx("red.release.gpu.global.add.s32 [$g0], $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    [OpenCl(OpenClFence + "; atomic_add($0, $1)")]
    public static void AddRelease(ref int target, int value) => Interlocked.Add(ref target, value);

    /// <summary>Adds, returns nothing and orders nothing: for sums that a later launch reads.</summary>
    [IntrinsicImplementation, Ptx("red.relaxed.gpu.global.add.u64 [$g0], $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    [OpenCl("atom_add($0, $1)")]
    public static void Add(ref long target, long value) => Interlocked.Add(ref target, value);

    /// <summary>Adds and returns the value before, as a ticket: acquires and releases.</summary>
    [IntrinsicImplementation, Ptx("atom.acq_rel.gpu.global.add.s32 $d, [$g0], $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    [OpenCl(OpenClFence + "; $d = atomic_add($0, $1); " + OpenClFence)]
    public static int FetchAdd(ref int target, int value) => Interlocked.Add(ref target, value) - value;

    [IntrinsicImplementation, Ptx("fence.acq_rel.gpu;"), MethodImpl(MethodImplOptions.NoInlining)]
    [OpenCl(OpenClFence)]
    public static void Fence() => Interlocked.MemoryBarrier();
}
