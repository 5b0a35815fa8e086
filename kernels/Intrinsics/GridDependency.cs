using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Programmatic dependent launch: a kernel may start before the one it follows has ended. sm_90 and later only: the PTX of a kernel
/// that uses these must name that architecture as its target. Elsewhere launches follow one another and nothing is to be done.
/// </summary>
internal static class GridDependency
{
    /// <summary>Waits until the launches before this one have ended and their writes are visible.</summary>
    [IntrinsicImplementation, Ptx("griddepcontrol.wait;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void Wait()
    {
    }

    /// <summary>Lets the next launch start its groups when every group of this one has come here or ended.</summary>
    [IntrinsicImplementation, Ptx("griddepcontrol.launch_dependents;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static void LaunchDependents()
    {
    }
}
