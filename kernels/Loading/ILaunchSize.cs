using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

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
