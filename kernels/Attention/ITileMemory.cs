using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Where a group keeps its tiles: a GPU gives a launch more than a kernel may declare, an emulator only what is declared.
/// </summary>
internal interface ITileMemory
{
    static abstract ArrayView<UInt4> Words(int words);

    static abstract KernelConfig Config(Index3D grid, int groupSize, int bytes);
}

/// <summary>What the launch asks for.</summary>
internal readonly struct DynamicTiles : ITileMemory
{
    public static ArrayView<UInt4> Words(int words) => SharedMemory.GetDynamic<UInt4>();

    public static KernelConfig Config(Index3D grid, int groupSize, int bytes) =>
        new(grid, new Index3D(groupSize, 1, 1), SharedMemoryConfig.RequestDynamic<byte>(bytes));
}

/// <summary>What the kernel declares.</summary>
internal readonly struct StaticTiles : ITileMemory
{
    public static ArrayView<UInt4> Words(int words) => SharedMemory.Allocate<UInt4>(words);

    public static KernelConfig Config(Index3D grid, int groupSize, int bytes) => new(grid, new Index3D(groupSize, 1, 1));
}
