using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>Device memory, page-locked host memory, copies and fills.</summary>
internal static unsafe class MemoryCalls
{
    // CU_POINTER_ATTRIBUTE_MEMORY_TYPE and its values.
    private const int MemoryTypeAttribute = 2;
    private const uint HostMemory = 1;
    private const uint DeviceMemory = 2;

    private static DriverMemory Memory => MachineDriver.Memory;

    [UnmanagedCallersOnly(EntryPoint = "cuMemGetInfo_v2")]
    public static DriverResult Info(nint* free, nint* total) => MachineDriver.CallBound(() =>
    {
        *total = (nint)Memory.TotalBytes;
        *free = (nint)(Memory.TotalBytes - Memory.UsedBytes);
    });

    [UnmanagedCallersOnly(EntryPoint = "cuMemAlloc_v2")]
    public static DriverResult Allocate(nint* address, nint bytes) => Outside(() => *address = Memory.AllocateDevice(bytes));

    [UnmanagedCallersOnly(EntryPoint = "cuMemFree_v2")]
    public static DriverResult Free(nint address) => Outside(() =>
    {
        if (address != 0)
            Memory.Free(address, MemoryKind.Device);
    });

    [UnmanagedCallersOnly(EntryPoint = "cuMemAllocHost_v2")]
    public static DriverResult AllocateHost(nint* address, nint bytes) => Outside(() => *address = Memory.AllocateHost(bytes));

    [UnmanagedCallersOnly(EntryPoint = "cuMemFreeHost")]
    public static DriverResult FreeHost(nint address) => Outside(() => Memory.Free(address, MemoryKind.PageLocked));

    [UnmanagedCallersOnly(EntryPoint = "cuMemHostRegister_v2")]
    public static DriverResult RegisterHost(nint address, nint bytes, uint flags) => Outside(() => Memory.RegisterHost(address, bytes));

    [UnmanagedCallersOnly(EntryPoint = "cuMemHostUnregister")]
    public static DriverResult UnregisterHost(nint address) => Outside(() => Memory.Free(address, MemoryKind.PageLocked, owned: false));

    [UnmanagedCallersOnly(EntryPoint = "cuMemHostGetDevicePointer_v2")]
    public static DriverResult HostDevicePointer(nint* device, nint host, uint flags) => MachineDriver.CallBound(() =>
    {
        DriverException.ThrowUnless(Memory.KindOf(host, 1) == MemoryKind.PageLocked, DriverResult.InvalidValue);
        *device = host;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuPointerGetAttribute")]
    public static DriverResult PointerAttribute(void* value, int attribute, nint address) => MachineDriver.CallBound(() =>
    {
        DriverException.ThrowUnless(attribute == MemoryTypeAttribute, DriverResult.NotSupported);
        MemoryKind kind = Memory.KindOf(address, 1);
        DriverException.ThrowUnless(kind != MemoryKind.Pageable, DriverResult.InvalidValue);
        *(uint*)value = kind == MemoryKind.Device ? DeviceMemory : HostMemory;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAsync")]
    public static DriverResult Copy(nint target, nint source, nint bytes, nint stream) => CopyOn(stream, target, source, bytes);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyHtoDAsync_v2")]
    public static DriverResult CopyToDevice(nint target, nint source, nint bytes, nint stream) =>
        CopyOn(stream, target, source, bytes, MemoryKind.Device);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoHAsync_v2")]
    public static DriverResult CopyToHost(nint target, nint source, nint bytes, nint stream) =>
        CopyOn(stream, target, source, bytes, sourceKind: MemoryKind.Device);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD8Async")]
    public static DriverResult Fill(nint target, byte value, nint bytes, nint stream) => MachineDriver.CallBound(() =>
    {
        DriverException.ThrowUnless(Memory.KindOf(target, bytes) == MemoryKind.Device, DriverResult.InvalidValue);
        DriverStream.Of(stream).Run(() => Memory.Fill(target, value, bytes));
    });

    private static DriverResult CopyOn(
        nint stream, nint target, nint source, nint bytes, MemoryKind? targetKind = null, MemoryKind? sourceKind = null) =>
        MachineDriver.CallBound(() =>
        {
            MemoryKind to = Memory.KindOf(target, bytes);
            MemoryKind from = Memory.KindOf(source, bytes);
            bool fits = to == (targetKind ?? to) && from == (sourceKind ?? from);
            DriverException.ThrowUnless(fits, DriverResult.InvalidValue);
            DriverStream queue = DriverStream.Of(stream);
            bool isCapturable = to != MemoryKind.Pageable && from != MemoryKind.Pageable;
            DriverException.ThrowUnless(isCapturable || !queue.IsCapturing, DriverResult.StreamCaptureUnsupported);
            queue.Run(() => Memory.Copy(target, source, bytes));
        });

    // A call that no capture may see.
    private static DriverResult Outside(Action body) => MachineDriver.CallBound(() =>
    {
        DriverStream.ThrowIfCapturing();
        body();
    });
}
