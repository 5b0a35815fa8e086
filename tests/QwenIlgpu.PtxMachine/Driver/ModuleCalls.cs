using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.PtxMachine;

/// <summary>A loaded module and the handles of its functions, which go with it.</summary>
internal sealed record DriverModule(PtxModule Module, Dictionary<string, nint> Functions);

/// <summary>A kernel as launches see it: how much dynamic shared memory one may ask for, and what it takes of a multiprocessor.</summary>
internal sealed class DriverFunction(PtxKernel kernel)
{
    /// <summary>Shared memory of a group, static and dynamic, that no launch need ask for.</summary>
    public const int FreeSharedBytes = 48 << 10;

    /// <summary>Shared memory of a group that a launch may ask for.</summary>
    public const int MaxSharedBytes = 227 << 10;

    /// <summary>Registers of a multiprocessor.</summary>
    public const int Registers = 65536;

    public const int MultiprocessorThreads = 2048;

    public const int MultiprocessorSharedBytes = 228 << 10;

    // What the driver itself takes of shared memory for each group.
    private const int ReservedSharedBytes = 1 << 10;

    private const int MostRegisters = 128;
    private const int WarpThreads = 32;

    public PtxKernel Kernel { get; } = kernel;

    /// <summary>Dynamic shared memory that a launch may have.</summary>
    public int DynamicSharedBytes { get; private set; } = FreeSharedBytes - kernel.SharedBytes;

    /// <summary>Registers of a thread: nothing is allocated here, so as many as a compiler may take where groups are this large.</summary>
    public int ThreadRegisters => Math.Min(MostRegisters, Registers / Kernel.MaxGroupThreads);

    /// <exception cref="DriverException">More than a group can have.</exception>
    public void AllowDynamicShared(int bytes)
    {
        DriverException.ThrowUnless(bytes >= 0 && bytes <= MaxSharedBytes - Kernel.SharedBytes, DriverResult.InvalidValue);
        DynamicSharedBytes = bytes;
    }

    /// <summary>Groups of a launch that a multiprocessor holds at once.</summary>
    public int GroupsPerMultiprocessor(int groupThreads, long dynamicSharedBytes)
    {
        int threads = (groupThreads + WarpThreads - 1) / WarpThreads * WarpThreads;
        long shared = Kernel.SharedBytes + dynamicSharedBytes + ReservedSharedBytes;
        int byThreads = Math.Min(MultiprocessorThreads / threads, Registers / (threads * ThreadRegisters));
        return (int)Math.Min(byThreads, MultiprocessorSharedBytes / shared);
    }
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

    [UnmanagedCallersOnly(EntryPoint = "cuModuleUnload")]
    public static DriverResult Unload(nint module) => MachineDriver.CallBound(() =>
    {
        foreach (nint function in Handles.Remove<DriverModule>(module).Functions.Values)
            Handles.Remove<DriverFunction>(function);
    });

    [UnmanagedCallersOnly(EntryPoint = "cuModuleGetFunction")]
    public static DriverResult Function(nint* function, nint module, nint name) => MachineDriver.CallBound(() =>
    {
        string? entry = Marshal.PtrToStringUTF8(name);
        bool found = Handles.Get<DriverModule>(module).Functions.TryGetValue(entry ?? "", out *function);
        DriverException.ThrowUnless(found, DriverResult.NotFound);
    });

    [UnmanagedCallersOnly(EntryPoint = "cuFuncGetAttribute")]
    public static DriverResult Attribute(int* value, int attribute, nint function) => MachineDriver.CallBound(() =>
    {
        DriverFunction of = Handles.Get<DriverFunction>(function);
        *value = attribute switch
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
    public static DriverResult SetAttribute(nint function, int attribute, int value) => MachineDriver.CallBound(() =>
    {
        DriverException.ThrowUnless(attribute == MaxDynamicSharedBytes, DriverResult.InvalidValue);
        Handles.Get<DriverFunction>(function).AllowDynamicShared(value);
    });

    [UnmanagedCallersOnly(EntryPoint = "cuOccupancyMaxActiveBlocksPerMultiprocessor")]
    public static DriverResult Occupancy(int* groups, nint function, int groupThreads, nint sharedBytes) => MachineDriver.CallBound(() =>
    {
        DriverException.ThrowUnless(groupThreads > 0, DriverResult.InvalidValue);
        *groups = Handles.Get<DriverFunction>(function).GroupsPerMultiprocessor(groupThreads, sharedBytes);
    });

    // Shared memory that depends on the group's size is not looked at.
    [UnmanagedCallersOnly(EntryPoint = "cuOccupancyMaxPotentialBlockSize")]
    public static DriverResult PotentialGroup(int* grid, int* groupThreads, nint function, nint sharedOf, nint sharedBytes, int limit) =>
        MachineDriver.CallBound(() =>
        {
            DriverFunction of = Handles.Get<DriverFunction>(function);
            int most = Math.Min(256, of.Kernel.MaxGroupThreads);
            *groupThreads = limit > 0 ? Math.Min(limit, most) : most;
            *grid = MachineDriver.Options.Multiprocessors * of.GroupsPerMultiprocessor(*groupThreads, sharedBytes);
        });

    private static DriverResult Load(nint* module, nint text, Span<byte> log)
    {
        string message = "";
        DriverResult result = MachineDriver.CallBound(() =>
        {
            DriverStream.ThrowIfCapturing();
            try
            {
                string read = Marshal.PtrToStringUTF8(text) ?? "";
                PtxModule parsed = PtxModule.Parse(MachineDriver.Edit?.Invoke(read) ?? read);
                *module = Handles.Add(new DriverModule(
                    parsed, parsed.Kernels.ToDictionary(k => k.Key, k => Handles.Add(new DriverFunction(k.Value)))));
            }
            catch (PtxException e)
            {
                message = e.Message;
                throw;
            }
        });
        if (!log.IsEmpty)
            Write(message, log);
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
