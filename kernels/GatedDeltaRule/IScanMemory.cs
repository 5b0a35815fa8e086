using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Where the scan's stages lie: a type parameter, because what can emulate the kernel has no dynamic shared memory.</summary>
internal interface IScanMemory
{
    /// <summary>So many words of 16 bytes.</summary>
    static abstract ArrayView<UInt4> Words(int length);

    /// <summary>What a launch asks for.</summary>
    static abstract int DynamicBytes(int length);
}

/// <summary>As much as the device allows.</summary>
internal readonly struct DynamicScanMemory : IScanMemory
{
    public static ArrayView<UInt4> Words(int length) => SharedMemory.GetDynamic<UInt4>();

    public static int DynamicBytes(int length) => length * 16;
}

/// <summary>Declared in the kernel, as much as the largest heads take: for devices that cannot be asked for more at a launch.</summary>
internal readonly struct StaticScanMemory : IScanMemory
{
    private const int MostWords = 4672;

    public static ArrayView<UInt4> Words(int length) => SharedMemory.Allocate<UInt4>(MostWords);

    public static int DynamicBytes(int length) => 0;
}
