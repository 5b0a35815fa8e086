using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>A context: which one is current is each thread's own. Its memory goes with it.</summary>
internal sealed class DriverContext
{
    [ThreadStatic]
    private static nint current;

    public static nint Current
    {
        get => current;
        set => current = value;
    }

    /// <exception cref="DriverException">This thread has no context, or one that is gone.</exception>
    public static void ThrowUnlessBound() => MachineDriver.Handles.Get<DriverContext>(current, DriverResult.InvalidContext);
}

/// <summary>Contexts, and what of them is set and asked for.</summary>
internal static unsafe class ContextCalls
{
    private static DriverHandles Handles => MachineDriver.Handles;

    [UnmanagedCallersOnly(EntryPoint = "cuCtxCreate_v2")]
    public static DriverResult Create(nint* context, uint flags, int device) => MachineDriver.Call(() =>
    {
        DriverException.ThrowUnless(device == 0, DriverResult.InvalidDevice);
        *context = DriverContext.Current = Handles.Add(new DriverContext());
    });

    [UnmanagedCallersOnly(EntryPoint = "cuCtxDestroy_v2")]
    public static DriverResult Destroy(nint context) => MachineDriver.Call(() =>
    {
        Handles.Remove<DriverContext>(context, DriverResult.InvalidContext);
        MachineDriver.Memory.FreeAllOf(context);
    });

    [UnmanagedCallersOnly(EntryPoint = "cuCtxSetCurrent")]
    public static DriverResult SetCurrent(nint context) => MachineDriver.Call(() =>
    {
        if (context != 0)
            Handles.Get<DriverContext>(context, DriverResult.InvalidContext);
        DriverContext.Current = context;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetCurrent")]
    public static DriverResult GetCurrent(nint* context)
    {
        *context = DriverContext.Current;
        return DriverResult.Success;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxSynchronize")]
    public static DriverResult Synchronize() => MachineDriver.CallBound(DriverStream.ThrowIfCapturing);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetCacheConfig")]
    public static DriverResult GetCacheConfig(int* value) => Default(value);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxSetCacheConfig")]
    public static DriverResult SetCacheConfig(int value) => MachineDriver.Call(DriverContext.ThrowUnlessBound);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetSharedMemConfig")]
    public static DriverResult GetSharedMemoryConfig(int* value) => Default(value);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxSetSharedMemConfig")]
    public static DriverResult SetSharedMemoryConfig(int value) => MachineDriver.Call(DriverContext.ThrowUnlessBound);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxEnablePeerAccess")]
    public static DriverResult EnablePeerAccess(nint context, uint flags) => DriverResult.NotSupported;

    [UnmanagedCallersOnly(EntryPoint = "cuCtxDisablePeerAccess")]
    public static DriverResult DisablePeerAccess(nint context) => DriverResult.NotSupported;

    private static DriverResult Default(int* value) => MachineDriver.Call(() =>
    {
        DriverContext.ThrowUnlessBound();
        *value = 0;
    });
}
