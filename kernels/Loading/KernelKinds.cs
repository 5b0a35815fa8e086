using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A kernel of the portable tier: independent work items, no barriers, no intrinsics, so that it runs on every accelerator.
/// Its fields are its operands.
/// </summary>
internal interface IPortableKernel
{
    /// <summary>Number of work items.</summary>
    int Items { get; }

    /// <summary>Computes one work item; it may write only what no other item reads or writes.</summary>
    void Execute(int item);
}

/// <summary>
/// The grid-stride loop every portable kernel's entry consists of. One GPU thread takes one item; the CPU accelerator, where a
/// work-item boundary costs about a microsecond, gets as many threads as it has cores, each taking every n-th item.
/// </summary>
internal static class PortableLoop
{
    public static void Run<TKernel>(Index1D thread, int threads, TKernel kernel)
        where TKernel : struct, IPortableKernel
    {
        int items = kernel.Items;
        for (int item = thread; item < items; item += threads)
            kernel.Execute(item);
    }
}

/// <summary>
/// A kernel written for whole groups of threads: barriers, warps, shared memory. Its fields are its operands; its static entry,
/// named after the op, takes nothing but the kernel and calls <see cref="Execute"/>.
/// </summary>
internal interface IGroupKernel
{
    /// <summary>What one thread of a group does.</summary>
    void Execute();
}

/// <summary>A kernel whose type arguments decide what a group takes: its launches ask for that, and reports tell it.</summary>
internal interface ILaunchSize
{
    /// <summary>Threads of a group.</summary>
    static abstract int GroupSize { get; }

    /// <summary>Dynamic shared memory of a group; 0 where the kernel takes none.</summary>
    static abstract int DynamicSharedBytes { get; }
}

/// <summary>Launches of kernels that know their groups.</summary>
internal static class LaunchSize
{
    /// <summary>So many groups.</summary>
    public static KernelConfig Config<TKernel>(Index3D grid)
        where TKernel : struct, ILaunchSize
    {
        var group = new Index3D(TKernel.GroupSize, 1, 1);
        return TKernel.DynamicSharedBytes == 0
            ? new KernelConfig(grid, group)
            : new KernelConfig(grid, group, SharedMemoryConfig.RequestDynamic<byte>(TKernel.DynamicSharedBytes));
    }
}
