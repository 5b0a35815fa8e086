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
    public static DriverResult Info(nint* free, nint* total) =>
        MachineDriver.CallBound(default, ((nint)free, (nint)total), static (a, ref _) =>
        {
            long total = MachineDriver.Options.MemoryBytes;
            *(nint*)a.Item2 = (nint)total;
            *(nint*)a.Item1 = (nint)(total - Memory.UsedBytes(DriverContext.Bound.Device));
        });

    [UnmanagedCallersOnly(EntryPoint = "cuMemAlloc_v2")]
    public static DriverResult Allocate(nint* address, nint bytes) =>
        Allocate("cuMemAlloc", address, bytes, static (b, c) => Memory.AllocateDevice(b, c));

    [UnmanagedCallersOnly(EntryPoint = "cuMemAllocHost_v2")]
    public static DriverResult AllocateHost(nint* address, nint bytes) =>
        Allocate("cuMemAllocHost", address, bytes, static (b, c) => Memory.AllocateHost(b, c));

    [UnmanagedCallersOnly(EntryPoint = "cuMemHostRegister_v2")]
    public static DriverResult RegisterHost(nint address, nint bytes, uint flags) => MachineDriver.CallBound(
        new CallNote("cuMemHostRegister", 0, address, bytes), (address, bytes), static (a, ref _) =>
        {
            DriverCapture.ThrowIfUnsafe();
            Memory.RegisterHost(a.address, a.bytes, DriverContext.Bound);
        });

    [UnmanagedCallersOnly(EntryPoint = "cuMemFree_v2")]
    public static DriverResult Free(nint address) => Free("cuMemFree", address, MemoryKind.Device);

    [UnmanagedCallersOnly(EntryPoint = "cuMemFreeHost")]
    public static DriverResult FreeHost(nint address) => Free("cuMemFreeHost", address, MemoryKind.PageLocked);

    [UnmanagedCallersOnly(EntryPoint = "cuMemHostUnregister")]
    public static DriverResult UnregisterHost(nint address) => Free("cuMemHostUnregister", address, MemoryKind.PageLocked, owned: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemHostGetDevicePointer_v2")]
    public static DriverResult HostDevicePointer(nint* device, nint host, uint flags) =>
        MachineDriver.CallBound(default, ((nint)device, host), static (a, ref _) =>
        {
            DriverException.ThrowUnless(Memory.KindOf(a.host, 1) == MemoryKind.PageLocked, DriverResult.InvalidValue);
            *(nint*)a.Item1 = a.host;
        });

    [UnmanagedCallersOnly(EntryPoint = "cuPointerGetAttribute")]
    public static DriverResult PointerAttribute(void* value, int attribute, nint address) =>
        MachineDriver.CallBound(default, ((nint)value, attribute, address), static (a, ref _) =>
        {
            DriverException.ThrowUnless(a.attribute == MemoryTypeAttribute, DriverResult.NotSupported);
            MemoryKind kind = Memory.KindOf(a.address, 1);
            DriverException.ThrowUnless(kind != MemoryKind.Pageable, DriverResult.InvalidValue);
            *(uint*)a.Item1 = kind == MemoryKind.Device ? DeviceMemory : HostMemory;
        });

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAsync")]
    public static DriverResult Copy(nint target, nint source, nint bytes, nint stream) =>
        CopyOn("cuMemcpyAsync", stream, target, source, bytes);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyHtoDAsync_v2")]
    public static DriverResult CopyToDevice(nint target, nint source, nint bytes, nint stream) =>
        CopyOn("cuMemcpyHtoDAsync", stream, target, source, bytes, MemoryKind.Device);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoHAsync_v2")]
    public static DriverResult CopyToHost(nint target, nint source, nint bytes, nint stream) =>
        CopyOn("cuMemcpyDtoHAsync", stream, target, source, bytes, sourceKind: MemoryKind.Device);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD8Async")]
    public static DriverResult Fill(nint target, byte value, nint bytes, nint stream) => MachineDriver.CallBound(
        new CallNote("cuMemsetD8Async", stream, 0, bytes), (target, value, bytes, stream), static (a, ref _) =>
        {
            DriverException.ThrowUnless(Memory.KindOf(a.target, a.bytes) == MemoryKind.Device, DriverResult.InvalidValue);
            DriverStream stream = DriverStream.ForWork(a.stream);
            DriverTask task = stream.NewTask();
            task.SetFill(a.target, a.value, a.bytes);
            stream.Give(task);
        });

    private static DriverResult Allocate(string call, nint* address, nint bytes, Func<long, DriverContext, nint> allocate) =>
        MachineDriver.CallBound(new CallNote(call, 0, 0, bytes), ((nint)address, bytes, allocate), static (a, ref n) =>
        {
            DriverCapture.ThrowIfUnsafe();

            // A driver may wait here, and need not.
            MachineDriver.Schedule.RunSome(least: 0);
            n.Object = *(nint*)a.Item1 = a.allocate(a.bytes, DriverContext.Bound);
        });

    // Work in flight ends first, as it does when a driver frees memory.
    private static DriverResult Free(string call, nint address, MemoryKind kind, bool owned = true) =>
        MachineDriver.CallBound(new CallNote(call, 0, address), (address, kind, owned), static (a, ref _) =>
        {
            DriverCapture.ThrowIfUnsafe();
            if (a.address == 0 && a.kind == MemoryKind.Device)
                return;
            DriverContext context = DriverContext.Bound;
            MachineDriver.Schedule.RunAll(context);
            context.ThrowIfPoisoned();
            Memory.Free(a.address, a.kind, a.owned);
        });

    private static DriverResult CopyOn(
        string call, nint stream, nint target, nint source, nint bytes, MemoryKind? targetKind = null, MemoryKind? sourceKind = null)
    {
        var note = new CallNote(call, stream, 0, bytes);
        return MachineDriver.CallBound(note, (stream, target, source, bytes, targetKind, sourceKind), static (a, ref n) =>
        {
            MemoryKind to = Memory.KindOf(a.target, a.bytes);
            MemoryKind from = Memory.KindOf(a.source, a.bytes);
            n.Object = from == MemoryKind.Device ? a.target : a.source;
            n.IsPageable = to == MemoryKind.Pageable || from == MemoryKind.Pageable;
            DriverException.ThrowUnless(to == (a.targetKind ?? to) && from == (a.sourceKind ?? from), DriverResult.InvalidValue);
            DriverStream stream = DriverStream.ForWork(a.stream);
            DriverException.ThrowUnless(!n.IsPageable || stream.Capture is null, DriverResult.StreamCaptureUnsupported);
            if (MachineDriver.Options.Records && from != MemoryKind.Device)
                n.Hash = CallLog.HashOf((void*)a.source, a.bytes);

            DriverTask task = stream.NewTask();
            task.SetCopy(a.target, to, a.source, from, a.bytes);
            if (from == MemoryKind.Pageable)
                task.Stage();
            else if (from == MemoryKind.PageLocked && MachineDriver.Options.Records && stream.Capture is null)
                task.WatchSource(n.Hash);
            stream.Give(task);

            // Memory that is not page-locked is the caller's when the call returns, and so is what a copy between hosts leaves.
            if (to == MemoryKind.Pageable || (to != MemoryKind.Device && from != MemoryKind.Device))
                stream.Synchronize();
        });
    }
}
