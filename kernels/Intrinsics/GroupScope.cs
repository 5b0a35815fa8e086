using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Integers in shared memory that several threads of a group change at once.</summary>
internal static class GroupScope
{
    /// <summary>Adds and returns the value before. Orders nothing: a barrier comes before the sum is read.</summary>
    [IntrinsicImplementation, Ptx("atom.relaxed.cta.shared.add.s32 $d, [$s0], $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static int FetchAdd(ref int target, int value) => Interlocked.Add(ref target, value) - value;
}
