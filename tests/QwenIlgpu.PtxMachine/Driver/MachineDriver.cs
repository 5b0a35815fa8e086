using System.Reflection;
using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>
/// The CUDA driver of this process over a <see cref="Machine"/>: a library named libcuda.so.1 whose functions are C#. Streams queue what
/// they are given, and calls that wait run it, in one of the orders that streams and events allow; see <see cref="DriverOptions.Order"/>.
/// </summary>
public static unsafe class MachineDriver
{
    private const string Library = "libcuda.so.1";

    // Calls of all threads take turns; while a kernel runs, others have theirs.
    private static readonly object Gate = new();

    private static readonly CallLog Log = new();

    private static Machine? machine;
    private static DeviceThread? device;
    private static DriverOptions options = new();

    /// <summary>What the driver says and how it works, for the calls that follow.</summary>
    public static DriverOptions Options
    {
        get => options;
        set
        {
            lock (Gate)
            {
                options = value;
                Schedule.Seed(value.Seed);
            }
        }
    }

    /// <summary>What is done to the text of each module before it is loaded; null: nothing. For faults to be planted.</summary>
    public static Func<string, string>? Edit { get; set; }

    /// <summary>
    /// Which kernel runs where one is launched; null: itself. Asked by the thread of the device, with no call of the driver under way; it
    /// must take the same parameters.
    /// </summary>
    public static Func<PtxKernel, PtxKernel>? Instead { get; set; }

    /// <summary>Called with the text of each module that is loaded, inside the call.</summary>
    public static event Action<string>? Loaded;

    /// <summary>What the last launch broke, or other work of a stream that failed since; null where nothing did.</summary>
    public static FaultException? LastFault { get; internal set; }

    /// <summary>The exception behind the last call that failed, for what an error code leaves out.</summary>
    public static Exception? LastFailure { get; private set; }

    /// <summary>Called when work of a stream has failed, in the call that ran it.</summary>
    public static event Action<Exception>? Faulted;

    /// <summary>The machine that this process's driver runs.</summary>
    /// <exception cref="InvalidOperationException">No driver is installed.</exception>
    public static Machine Machine => machine ?? throw new InvalidOperationException("the machine's driver is not installed");

    /// <summary>The calls since <see cref="ClearCalls"/> that were recorded, with what went wrong behind them.</summary>
    public static DriverCall[] Calls
    {
        get
        {
            lock (Gate)
                return Log.ToArray();
        }
    }

    /// <summary>The error that every context has met; none as a rule.</summary>
    internal static DriverResult Planted { get; private set; }

    internal static DriverHandles Handles { get; } = new();

    internal static DriverMemory Memory { get; private set; } = null!;

    internal static DriverSchedule Schedule { get; } = new(Gate);

    /// <summary>The captures that are open.</summary>
    internal static List<DriverCapture> Captures { get; } = [];

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
            Memory = new DriverMemory(machine.Memory);
            LoadLibrary();
            device = new DeviceThread(machine);
            MachineDriver.machine = machine;
        }
    }

    public static void ClearCalls()
    {
        lock (Gate)
            Log.Clear();
    }

    /// <summary>How many handles of a kind have been created and not destroyed, those included that only went with their context.</summary>
    public static int Live(HandleKind kind)
    {
        lock (Gate)
        {
            return kind switch
            {
                HandleKind.DeviceMemory => Memory.Count(MemoryKind.Device),
                HandleKind.HostMemory => Memory.Count(MemoryKind.PageLocked),
                _ => Handles.Count(kind),
            };
        }
    }

    /// <summary>From now on every call of a context fails with this error, as after a kernel's fault; 0 ends that.</summary>
    public static void Fault(int error)
    {
        lock (Gate)
            Planted = (DriverResult)error;
    }

    /// <summary>A call's body, alone among the calls of all threads; its exception becomes the result.</summary>
    internal static DriverResult Call<T>(CallNote note, T arguments, CallBody<T> body, bool isBound = false)
    {
        lock (Gate)
        {
            try
            {
                if (isBound)
                    DriverContext.Bound.ThrowIfPoisoned();
                body(arguments, ref note);
            }
            catch (Exception e)
            {
                LastFailure = e.InnerException ?? e;
                note.Result = ResultOf(e);
            }

            Note(note);
            return note.Result;
        }
    }

    /// <summary>As <see cref="Call"/>, where this thread has a context that works.</summary>
    internal static DriverResult CallBound<T>(CallNote note, T arguments, CallBody<T> body) => Call(note, arguments, body, isBound: true);

    internal static void OnLoaded(string text) => Loaded?.Invoke(text);

    /// <summary>Notes that work has failed.</summary>
    internal static void Note(Exception failure)
    {
        if (failure is FaultException fault)
            LastFault = fault;
        Faulted?.Invoke(failure);
    }

    /// <summary>Records a call, or what went wrong behind one.</summary>
    internal static void Note(in CallNote note)
    {
        if (options.Records)
            Log.Add(note, note.Origin == CallOrigin.Replayed ? 0 : Captures.Count);
    }

    /// <summary>Of a launch's parameters; 0 where calls are not recorded.</summary>
    internal static ulong HashOf(ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
            return options.Records ? CallLog.HashOf(start, bytes.Length) : 0;
    }

    /// <summary>Runs a kernel, with the gate open.</summary>
    internal static void Launch(DriverTask launch)
    {
        LastFault = null;
        if (!options.RunsKernels)
            return;
        Monitor.Exit(Gate);
        try
        {
            device!.Run(launch);
        }
        finally
        {
            Monitor.Enter(Gate);
        }
    }

    private static void LoadLibrary()
    {
        Dictionary<string, nint> functions = new Type[]
            {
                typeof(DeviceCalls), typeof(ContextCalls), typeof(MemoryCalls), typeof(ModuleCalls), typeof(LaunchCalls),
                typeof(StreamCalls), typeof(EventCalls), typeof(GraphCalls),
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

    // A wrong place is an illegal address; every other rule that a kernel breaks is a launch that failed.
    internal static DriverResult ResultOf(Exception exception) => exception switch
    {
        DriverException e => e.Result,
        FaultException { Faults: [{ Kind: FaultKind.OutOfBounds or FaultKind.NegativeIndex or FaultKind.FreedMemory }, ..] } =>
            DriverResult.IllegalAddress,
        FaultException => DriverResult.LaunchFailed,
        PtxException => DriverResult.InvalidPtx,
        NotSupportedException or NotImplementedException => DriverResult.NotSupported,
        OutOfMemoryException => DriverResult.OutOfMemory,
        ArgumentException => DriverResult.InvalidValue,
        _ => DriverResult.Unknown,
    };
}

/// <summary>The body of a call: it may add to what is recorded of it, its result included, and throw instead of failing.</summary>
internal delegate void CallBody<in T>(T arguments, ref CallNote note);
