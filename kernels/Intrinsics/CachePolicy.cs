using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>L2 eviction priorities for loads that take a hint. A kernel makes one before its loop. A hint changes no value.</summary>
internal static class CachePolicy
{
    /// <summary>Leaves L2 before anything else: weights on their way through.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("createpolicy.fractional.L2::evict_first.b64 $d, 1.0;")]
    public static ulong EvictFirst() => 1;

    /// <summary>Leaves L2 after everything else: activations that every group reads.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("createpolicy.fractional.L2::evict_last.b64 $d, 1.0;")]
    public static ulong EvictLast() => 2;
}
