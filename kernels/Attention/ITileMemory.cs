using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Where a group keeps its tiles: a GPU gives a launch more than a kernel may declare, an emulator only what is declared.
/// </summary>
internal interface ITileMemory
{
    static abstract ArrayView<UInt4> Words(int words);

    /// <summary>What a launch asks for.</summary>
    static abstract int DynamicBytes(int words);
}

/// <summary>What the launch asks for.</summary>
internal readonly struct DynamicTiles : ITileMemory
{
    public static ArrayView<UInt4> Words(int words) => SharedMemory.GetDynamic<UInt4>();

    public static int DynamicBytes(int words) => words * 16;
}

/// <summary>What the kernel declares.</summary>
internal readonly struct StaticTiles : ITileMemory
{
    public static ArrayView<UInt4> Words(int words) => SharedMemory.Allocate<UInt4>(words);

    public static int DynamicBytes(int words) => 0;
}
