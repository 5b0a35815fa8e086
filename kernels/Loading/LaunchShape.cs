using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Groups of a launch, threads of a group and its dynamic shared memory, in the order of CUlaunchConfig.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct LaunchShape(
    uint GridX, uint GridY, uint GridZ, uint GroupX, uint GroupY, uint GroupZ, uint DynamicSharedBytes)
{
    public long GroupThreads => (long)GroupX * GroupY * GroupZ;

    public bool IsEmpty => GridX == 0 || GridY == 0 || GridZ == 0;

    /// <summary>One thread an item.</summary>
    public static LaunchShape OfItems(int items, int groupThreads) =>
        new((uint)((items + (long)groupThreads - 1) / groupThreads), 1, 1, (uint)groupThreads, 1, 1, 0);

    public static LaunchShape Of(in KernelConfig config) => new(
        (uint)config.GridDim.X, (uint)config.GridDim.Y, (uint)config.GridDim.Z,
        (uint)config.GroupDim.X, (uint)config.GroupDim.Y, (uint)config.GroupDim.Z, (uint)config.SharedMemoryConfig.ArraySize);

    public override string ToString() =>
        $"grid {GridX}×{GridY}×{GridZ}, group {GroupX}×{GroupY}×{GroupZ}, {DynamicSharedBytes} bytes of dynamic shared memory";
}

/// <summary>CUlaunchConfig.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct LaunchConfiguration
{
    public LaunchShape Shape;
    public nint Stream;
    public LaunchAttribute* Attributes;
    public uint AttributeCount;
}

/// <summary>CUlaunchAttribute: an id and 64 bytes of value.</summary>
[StructLayout(LayoutKind.Explicit, Size = 72)]
internal struct LaunchAttribute
{
    [FieldOffset(0)]
    public int Id;

    [FieldOffset(8)]
    public int Value;

    /// <summary>The kernel may start before its predecessor on the stream has ended.</summary>
    public static LaunchAttribute ProgrammaticStreamSerialization => new() { Id = 6, Value = 1 };
}
