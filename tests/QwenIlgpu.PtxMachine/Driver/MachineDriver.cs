using System.Reflection;
using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>
/// The CUDA driver of this process over a <see cref="Machine"/>: a library named libcuda.so.1 whose functions are C#. Every call has ended
/// its work when it returns, so streams and events order nothing that is not ordered already.
/// </summary>
public static unsafe class MachineDriver
{
    private const string Library = "libcuda.so.1";

    // Calls of all threads take turns: a launch has the memory for itself.
    private static readonly Lock Gate = new();

    private static Machine? machine;

    /// <summary>What is done to the text of each module before it is loaded; null: nothing. For faults to be planted.</summary>
    public static Func<string, string>? Edit { get; set; }

    /// <summary>What the last launch broke; null where it broke nothing.</summary>
    public static FaultException? LastFault { get; private set; }

    /// <summary>The exception behind the last call that failed, for what an error code leaves out.</summary>
    public static Exception? LastFailure { get; private set; }

    /// <summary>The machine that this process's driver runs.</summary>
    /// <exception cref="InvalidOperationException">No driver is installed.</exception>
    public static Machine Machine => machine ?? throw new InvalidOperationException("the machine's driver is not installed");

    internal static DriverOptions Options { get; private set; } = new();

    internal static DriverHandles Handles { get; } = new();

    internal static DriverMemory Memory { get; private set; } = null!;

    /// <summary>
    /// Makes the machine the CUDA device of this process. It must precede the first call of a driver, and stays for the process's life.
    /// </summary>
    /// <exception cref="NotSupportedException">The process is not one of x64 Linux.</exception>
    /// <exception cref="InvalidOperationException">The process has another driver already.</exception>
    public static void Install(Machine machine, DriverOptions? options = null)
    {
        lock (Gate)
        {
            if (ReferenceEquals(MachineDriver.machine, machine))
                return;
            if (MachineDriver.machine is not null)
                throw new InvalidOperationException("this process's driver runs another machine");
            if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
                throw new NotSupportedException($"the machine's driver is made for x64 Linux, not {RuntimeInformation.RuntimeIdentifier}");
            Options = options ?? new DriverOptions();
            Memory = new DriverMemory(machine.Memory, Options.MemoryBytes);
            LoadLibrary();
            MachineDriver.machine = machine;
        }
    }

    /// <summary>A call's body, alone among the calls of all threads; its exception becomes the result.</summary>
    internal static DriverResult Call(Action body)
    {
        lock (Gate)
        {
            try
            {
                body();
                return DriverResult.Success;
            }
            catch (Exception e)
            {
                LastFailure = e;
                return ResultOf(e);
            }
        }
    }

    /// <summary>As <see cref="Call"/>, where this thread has a context.</summary>
    internal static DriverResult CallBound(Action body) => Call(() =>
    {
        DriverContext.ThrowUnlessBound();
        body();
    });

    /// <summary>Runs a grid, inside a call.</summary>
    internal static void Launch(PtxKernel kernel, GridShape shape, byte[] parameters)
    {
        LastFault = null;
        try
        {
            Machine.Launch(kernel, shape, parameters);
        }
        catch (FaultException e)
        {
            LastFault = e;
            throw;
        }
    }

    private static void LoadLibrary()
    {
        Dictionary<string, nint> functions = new Type[]
            {
                typeof(DeviceCalls), typeof(ContextCalls), typeof(MemoryCalls), typeof(ModuleCalls), typeof(LaunchCalls),
                typeof(StreamCalls), typeof(GraphCalls),
            }
            .SelectMany(t => t.GetMethods(BindingFlags.Static | BindingFlags.Public))
            .Select(m => (Method: m, Name: m.GetCustomAttribute<UnmanagedCallersOnlyAttribute>()?.EntryPoint))
            .Where(f => f.Name is not null)
            .ToDictionary(f => f.Name!, f => f.Method.MethodHandle.GetFunctionPointer());
        string[] names = [.. functions.Keys];
        nint library = SharedObject.Load(Library, names);
        nint* table = (nint*)NativeLibrary.GetExport(library, SharedObject.Table);
        for (int i = 0; i < names.Length; i++)
            table[i] = functions[names[i]];
        if (NativeLibrary.Load(Library) != library)
            throw new InvalidOperationException($"this process had loaded another {Library} before");
    }

    private static DriverResult ResultOf(Exception exception) => exception switch
    {
        DriverException e => e.Result,
        FaultException => DriverResult.LaunchFailed,
        PtxException => DriverResult.InvalidPtx,
        NotSupportedException or NotImplementedException => DriverResult.NotSupported,
        OutOfMemoryException => DriverResult.OutOfMemory,
        ArgumentException => DriverResult.InvalidValue,
        _ => DriverResult.Unknown,
    };
}

/// <summary>What the driver says of its device.</summary>
public sealed record DriverOptions
{
    public string Name { get; init; } = "PTX machine";

    /// <summary>Compute capability, such as (9, 0).</summary>
    public (int Major, int Minor) Capability { get; init; } = (9, 0);

    public int Multiprocessors { get; init; } = 132;

    /// <summary>Memory that allocations share.</summary>
    public long MemoryBytes { get; init; } = 8L << 30;

    /// <summary>1000 · major + 10 · minor; it decides the PTX ISA that ILGPU writes.</summary>
    public int DriverVersion { get; init; } = 12080;
}
