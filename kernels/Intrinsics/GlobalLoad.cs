using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// 128-bit loads of data that is read once, such as weights: they go past L1. The memory must not be written while the kernel runs.
/// </summary>
internal static class GlobalLoad
{
    [IntrinsicImplementation, Ptx("ld.global.nc.L1::no_allocate.v4.u32 $d, [$g0];"), MethodImpl(MethodImplOptions.NoInlining)]
    public static UInt4 Streaming(ref UInt4 source) => source;

    /// <summary>With a hint from <see cref="CachePolicy"/> on how long the line stays in L2.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("ld.global.nc.L1::no_allocate.L2::cache_hint.v4.u32 $d, [$g0], $1;")]
    public static UInt4 Streaming(ref UInt4 source, ulong policy) => source;

    /// <summary>Where the source is not present nothing is read, and the result is of no use.</summary>
    /// <remarks>
    /// A lane without it gets bits of no meaning, whatever its registers held, not the body's zeros. They may be used where any bits
    /// will do: codes of INT4 and INT8 become finite numbers whatever they are, and a missing tile's scale is zero. They may not become
    /// addresses or conditions, nor codes of a format that has infinities or NaN: zero times these is not zero. Zeros first would cost
    /// a decode matmul 5 of 433 instructions of its loop over four INT4 tiles, 7 of 347 of INT8, and up to 9 registers.
    /// </remarks>
    [IntrinsicImplementation, Ptx("@$1 ld.global.nc.L1::no_allocate.v4.u32 $d, [$g0];"), MethodImpl(MethodImplOptions.NoInlining)]
    public static UInt4 StreamingIf(ref UInt4 source, bool present) => present ? source : default;

    /// <summary>Brings the line of an address into L2 and returns at once.</summary>
    [IntrinsicImplementation, Ptx("prefetch.global.L2 [$g0];"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void PrefetchL2(ref UInt4 source)
    {
    }

    /// <summary>Brings the line of an address into L2 and returns at once.</summary>
    [IntrinsicImplementation, Ptx("prefetch.global.L2 [$g0];"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void PrefetchL2(ref byte source)
    {
    }
}
