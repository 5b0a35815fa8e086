using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>A context: which one is current is each thread's own. Its memory and its objects go with it.</summary>
internal sealed class DriverContext : IDriverObject
{
    [ThreadStatic]
    private static nint current;

    private Exception? failure;

    public DriverContext(int device)
    {
        Device = device;
        NullStream = new DriverStream(this, isBlocking: true);
    }

    public static nint Current
    {
        get => current;
        set => current = value;
    }

    /// <summary>The context of this thread.</summary>
    /// <exception cref="DriverException">It has none, or one that is gone.</exception>
    public static DriverContext Bound => MachineDriver.Handles.Get<DriverContext>(current, DriverResult.InvalidContext);

    public HandleKind Kind => HandleKind.Context;

    public DriverContext Context => this;

    public int Device { get; }

    /// <summary>The stream without a handle, which waits for all blocking ones, and they for it.</summary>
    public DriverStream NullStream { get; }

    /// <summary>Whether work has failed so that nothing can be done any more.</summary>
    public bool IsPoisoned => (failure is not null && MachineDriver.Options.FaultsStick) || MachineDriver.Planted != DriverResult.Success;

    /// <summary>Notes that work has failed; the next call that waits tells it.</summary>
    public void Fail(Exception exception)
    {
        failure ??= exception;
        MachineDriver.Note(exception);
    }

    /// <exception cref="DriverException">Work has failed.</exception>
    public void ThrowFailure()
    {
        if (failure is not { } told)
            return;
        if (!MachineDriver.Options.FaultsStick)
            failure = null;
        throw new DriverException(MachineDriver.ResultOf(told), told);
    }

    /// <exception cref="DriverException">Work has failed, and the context with it.</exception>
    public void ThrowIfPoisoned()
    {
        DriverException.ThrowUnless(MachineDriver.Planted == DriverResult.Success, MachineDriver.Planted);
        if (IsPoisoned)
            ThrowFailure();
    }
}

/// <summary>Contexts, and what of them is set and asked for.</summary>
internal static unsafe class ContextCalls
{
    private static DriverHandles Handles => MachineDriver.Handles;

    [UnmanagedCallersOnly(EntryPoint = "cuCtxCreate_v2")]
    public static DriverResult Create(nint* context, uint flags, int device) => MachineDriver.Call(
        new CallNote("cuCtxCreate"),
        ((nint)context, device),
        static (a, ref n) =>
        {
            DeviceCalls.ThrowUnlessDevice(a.device);
            n.Object = *(nint*)a.Item1 = DriverContext.Current = Handles.Add(new DriverContext(a.device));
        });

    [UnmanagedCallersOnly(EntryPoint = "cuCtxDestroy_v2")]
    public static DriverResult Destroy(nint context) => MachineDriver.Call(new CallNote("cuCtxDestroy"), context, static (handle, ref _) =>
    {
        DriverContext destroyed = Handles.Get<DriverContext>(handle, DriverResult.InvalidContext);
        MachineDriver.Schedule.RunAll(destroyed);
        DriverCapture.CloseAllOf(destroyed);
        Handles.Remove<DriverContext>(handle);
        Handles.RemoveAllOf(destroyed);
        MachineDriver.Memory.FreeAllOf(destroyed);
    });

    [UnmanagedCallersOnly(EntryPoint = "cuCtxSetCurrent")]
    public static DriverResult SetCurrent(nint context) => MachineDriver.Call(
        new CallNote("cuCtxSetCurrent"), context, static (handle, ref _) =>
        {
            if (handle != 0)
                Handles.Get<DriverContext>(handle, DriverResult.InvalidContext);
            DriverContext.Current = handle;
        });

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetCurrent")]
    public static DriverResult GetCurrent(nint* context)
    {
        *context = DriverContext.Current;
        return DriverResult.Success;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxSynchronize")]
    public static DriverResult Synchronize() => MachineDriver.CallBound(new CallNote("cuCtxSynchronize"), 0, static (_, ref _) =>
    {
        DriverContext context = DriverContext.Bound;
        DriverCapture.ThrowIfAnyOf(context);
        MachineDriver.Schedule.RunAll(context);
        context.ThrowFailure();
    });

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetCacheConfig")]
    public static DriverResult GetCacheConfig(int* value) => Default(value);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxSetCacheConfig")]
    public static DriverResult SetCacheConfig(int value) => MachineDriver.CallBound(default, 0, static (_, ref _) => { });

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetSharedMemConfig")]
    public static DriverResult GetSharedMemoryConfig(int* value) => Default(value);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxSetSharedMemConfig")]
    public static DriverResult SetSharedMemoryConfig(int value) => MachineDriver.CallBound(default, 0, static (_, ref _) => { });

    // All memory is the host's, so that devices see each other's.
    [UnmanagedCallersOnly(EntryPoint = "cuCtxEnablePeerAccess")]
    public static DriverResult EnablePeerAccess(nint context, uint flags) => PeerAccess(context);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxDisablePeerAccess")]
    public static DriverResult DisablePeerAccess(nint context) => PeerAccess(context);

    private static DriverResult PeerAccess(nint context) => MachineDriver.CallBound(
        default, context, static (peer, ref _) => Handles.Get<DriverContext>(peer, DriverResult.InvalidContext));

    private static DriverResult Default(int* value) =>
        MachineDriver.CallBound(default, (nint)value, static (answer, ref _) => *(int*)answer = 0);
}
