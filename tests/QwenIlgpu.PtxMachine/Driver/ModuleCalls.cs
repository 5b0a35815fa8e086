using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.PtxMachine;

/// <summary>A loaded module and the handles of its functions, which go with it.</summary>
internal sealed record DriverModule(DriverContext Context, Dictionary<string, nint> Functions) : IDriverObject
{
    public HandleKind Kind => HandleKind.Module;
}

/// <summary>Modules, and what of their functions is set and asked for.</summary>
internal static unsafe class ModuleCalls
{
    // CUjit_option.
    private const int ErrorLogBuffer = 5;
    private const int ErrorLogBytes = 6;

    // CUfunction_attribute.
    private const int MaxDynamicSharedBytes = 8;

    private static DriverHandles Handles => MachineDriver.Handles;

    [UnmanagedCallersOnly(EntryPoint = "cuModuleLoadData")]
    public static DriverResult Load(nint* module, nint text) => Load(module, text, []);

    [UnmanagedCallersOnly(EntryPoint = "cuModuleLoadDataEx")]
    public static DriverResult LoadWithOptions(nint* module, nint text, uint count, int* options, nint* values)
    {
        int buffer = new Span<int>(options, (int)count).IndexOf(ErrorLogBuffer);
        int bytes = new Span<int>(options, (int)count).IndexOf(ErrorLogBytes);
        return Load(module, text, buffer < 0 || bytes < 0 ? [] : new Span<byte>((void*)values[buffer], (int)values[bytes]));
    }

    // Kernels in flight end first.
    [UnmanagedCallersOnly(EntryPoint = "cuModuleUnload")]
    public static DriverResult Unload(nint module) => MachineDriver.CallBound(
        new CallNote("cuModuleUnload", 0, module), module, static (handle, ref _) =>
        {
            DriverModule unloaded = Handles.Get<DriverModule>(handle);
            DriverCapture.ThrowIfUnsafe();
            MachineDriver.Schedule.RunAll(unloaded.Context);
            Handles.Remove<DriverModule>(handle);
            foreach (nint function in unloaded.Functions.Values)
                Handles.Remove<DriverFunction>(function).IsUnloaded = true;
        });

    [UnmanagedCallersOnly(EntryPoint = "cuModuleGetFunction")]
    public static DriverResult Function(nint* function, nint module, nint name) =>
        MachineDriver.CallBound(default, ((nint)function, module, name), static (a, ref _) =>
        {
            string? entry = Marshal.PtrToStringUTF8(a.name);
            bool found = Handles.Get<DriverModule>(a.module).Functions.TryGetValue(entry ?? "", out *(nint*)a.Item1);
            DriverException.ThrowUnless(found, DriverResult.NotFound);
        });

    [UnmanagedCallersOnly(EntryPoint = "cuFuncGetAttribute")]
    public static DriverResult Attribute(int* value, int attribute, nint function) =>
        MachineDriver.CallBound(default, ((nint)value, attribute, function), static (a, ref _) =>
        {
            DriverFunction of = Handles.Get<DriverFunction>(a.function);
            *(int*)a.Item1 = a.attribute switch
            {
                0 => of.Kernel.MaxGroupThreads,
                1 => of.Kernel.SharedBytes,
                2 or 3 => 0,                    // constant and local bytes
                4 => of.ThreadRegisters,
                MaxDynamicSharedBytes => of.DynamicSharedBytes,
                _ => throw new DriverException(DriverResult.InvalidValue),
            };
        });

    [UnmanagedCallersOnly(EntryPoint = "cuFuncSetAttribute")]
    public static DriverResult SetAttribute(nint function, int attribute, int value) => MachineDriver.CallBound(
        new CallNote("cuFuncSetAttribute", 0, attribute, value), (function, attribute, value), static (a, ref n) =>
        {
            DriverFunction of = Handles.Get<DriverFunction>(a.function);
            n.Kernel = of.Kernel.Name;
            DriverException.ThrowUnless(a.attribute == MaxDynamicSharedBytes, DriverResult.InvalidValue);
            of.AllowDynamicShared(a.value);
        });

    [UnmanagedCallersOnly(EntryPoint = "cuOccupancyMaxActiveBlocksPerMultiprocessor")]
    public static DriverResult Occupancy(int* groups, nint function, int groupThreads, nint sharedBytes) =>
        MachineDriver.CallBound(default, ((nint)groups, function, groupThreads, sharedBytes), static (a, ref _) =>
        {
            DriverException.ThrowUnless(a.groupThreads > 0, DriverResult.InvalidValue);
            *(int*)a.Item1 = Handles.Get<DriverFunction>(a.function).GroupsPerMultiprocessor(a.groupThreads, a.sharedBytes);
        });

    // Shared memory that depends on the group's size is not looked at.
    [UnmanagedCallersOnly(EntryPoint = "cuOccupancyMaxPotentialBlockSize")]
    public static DriverResult PotentialGroup(int* grid, int* groupThreads, nint function, nint sharedOf, nint sharedBytes, int limit) =>
        MachineDriver.CallBound(default, ((nint)grid, (nint)groupThreads, function, sharedBytes, limit), static (a, ref _) =>
        {
            DriverFunction of = Handles.Get<DriverFunction>(a.function);
            int most = Math.Min(256, of.Kernel.MaxGroupThreads);
            int threads = a.limit > 0 ? Math.Min(a.limit, most) : most;
            *(int*)a.Item2 = threads;
            *(int*)a.Item1 = MachineDriver.Options.Architecture.Multiprocessors * of.GroupsPerMultiprocessor(threads, a.sharedBytes);
        });

    private static DriverResult Load(nint* module, nint text, Span<byte> log)
    {
        string read = Marshal.PtrToStringUTF8(text) ?? "";
        var note = new CallNote("cuModuleLoad", 0, 0, read.Length);
        DriverResult result = MachineDriver.CallBound(note, ((nint)module, read), static (a, ref n) =>
        {
            DriverCapture.ThrowIfUnsafe();
            string edited = MachineDriver.Edit?.Invoke(a.read) ?? a.read;
            PtxModule parsed = PtxModule.Parse(edited);
            MachineDriver.OnLoaded(edited);
            DriverContext context = DriverContext.Bound;
            n.Object = *(nint*)a.Item1 = Handles.Add(new DriverModule(
                context, parsed.Kernels.ToDictionary(k => k.Key, k => Handles.Add(new DriverFunction(k.Value, context)))));
        });
        if (!log.IsEmpty)
            Write(result == DriverResult.InvalidPtx ? MachineDriver.LastFailure!.Message : "", log);
        return result;
    }

    // As much as there is room for, and the zero at its end.
    private static void Write(string message, Span<byte> log)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(message);
        int count = Math.Min(bytes.Length, log.Length - 1);
        bytes.AsSpan(0, count).CopyTo(log);
        log[count] = 0;
    }
}
