using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The calls of the CUDA driver that loading and launching take. Each that fails throws with the driver's name for the error and,
/// for a module, its compiler's log.
/// </summary>
internal sealed unsafe class KernelDriver
{
    private const int LogBytes = 16 << 10;

    private const int JitErrorLogBuffer = 5;
    private const int JitErrorLogBytes = 6;

    private readonly delegate* unmanaged<nint*, byte*, uint, int*, void**, int> moduleLoadDataEx;
    private readonly delegate* unmanaged<nint, int> moduleUnload;
    private readonly delegate* unmanaged<nint*, nint, byte*, int> moduleGetFunction;
    private readonly delegate* unmanaged<int*, int, nint, int> funcGetAttribute;
    private readonly delegate* unmanaged<nint, int, int, int> funcSetAttribute;
    private readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> launchKernel;
    private readonly delegate* unmanaged<LaunchConfiguration*, nint, void**, void**, int> launchKernelEx;
    private readonly delegate* unmanaged<int, byte**, int> getErrorName;

    /// <param name="export">Address of a function by its name; 0 where the driver has none.</param>
    public KernelDriver(Func<string, nint> export)
    {
        moduleLoadDataEx = (delegate* unmanaged<nint*, byte*, uint, int*, void**, int>)Required(export, "cuModuleLoadDataEx");
        moduleUnload = (delegate* unmanaged<nint, int>)Required(export, "cuModuleUnload");
        moduleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)Required(export, "cuModuleGetFunction");
        funcGetAttribute = (delegate* unmanaged<int*, int, nint, int>)Required(export, "cuFuncGetAttribute");
        funcSetAttribute = (delegate* unmanaged<nint, int, int, int>)Required(export, "cuFuncSetAttribute");
        launchKernel = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)
            Required(export, "cuLaunchKernel");
        launchKernelEx = (delegate* unmanaged<LaunchConfiguration*, nint, void**, void**, int>)export("cuLaunchKernelEx");
        getErrorName = (delegate* unmanaged<int, byte**, int>)export("cuGetErrorName");
    }

    /// <summary>False with drivers before 11.8: launches then carry no attributes.</summary>
    public bool HasLaunchAttributes => launchKernelEx is not null;

    /// <exception cref="NotSupportedException">The driver library is not installed.</exception>
    public static KernelDriver Load()
    {
        string[] names = OperatingSystem.IsWindows() ? ["nvcuda"] : ["libcuda.so.1", "libcuda.so"];
        foreach (string name in names)
        {
            if (NativeLibrary.TryLoad(name, out nint library))
                return new KernelDriver(function => NativeLibrary.TryGetExport(library, function, out nint address) ? address : 0);
        }

        throw new NotSupportedException($"the CUDA driver library ({names[0]}) is not installed");
    }

    /// <summary>Loads PTX into the current context; the driver compiles it or takes the result out of its own cache.</summary>
    public nint LoadModule(string kernel, string ptx)
    {
        byte[] text = Encoding.UTF8.GetBytes(ptx + '\0');
        byte[] log = new byte[LogBytes];
        nint module;
        int code;
        fixed (byte* textStart = text)
        fixed (byte* logStart = log)
        {
            int* options = stackalloc int[] { JitErrorLogBuffer, JitErrorLogBytes };
            void** values = stackalloc void*[] { logStart, (void*)LogBytes };
            code = moduleLoadDataEx(&module, textStart, 2, options, values);
        }

        if (code != 0)
            throw new DriverCallException(FailureText(kernel, "cuModuleLoadDataEx", code, ErrorName(code), log));
        return module;
    }

    /// <summary>A module that cannot be unloaded goes with its context.</summary>
    public void UnloadModule(nint module) => _ = moduleUnload(module);

    public nint Function(string kernel, nint module, string entry)
    {
        byte[] name = Encoding.UTF8.GetBytes(entry + '\0');
        nint function;
        fixed (byte* start = name)
            Check(kernel, $"cuModuleGetFunction({entry})", moduleGetFunction(&function, module, start));
        return function;
    }

    public int Attribute(string kernel, nint function, FunctionAttribute attribute)
    {
        int value;
        Check(kernel, $"cuFuncGetAttribute({attribute})", funcGetAttribute(&value, (int)attribute, function));
        return value;
    }

    public void SetAttribute(string kernel, nint function, FunctionAttribute attribute, int value) =>
        Check(kernel, $"cuFuncSetAttribute({attribute} = {value})", funcSetAttribute(function, (int)attribute, value));

    /// <summary>
    /// The one place that launches kernels: <paramref name="arguments"/> is the packed parameter buffer. With
    /// <paramref name="overlapsPredecessor"/> the kernel may start while the launch before it still runs.
    /// </summary>
    public int Launch(nint function, in LaunchShape shape, byte* arguments, int argumentBytes, bool overlapsPredecessor, nint stream)
    {
        nuint bytes = (nuint)argumentBytes;
        void** extra = stackalloc void*[] { (void*)1, arguments, (void*)2, &bytes, null };     // buffer pointer, buffer size, end
        if (!overlapsPredecessor)
        {
            return launchKernel(
                function, shape.GridX, shape.GridY, shape.GridZ, shape.GroupX, shape.GroupY, shape.GroupZ, shape.DynamicSharedBytes,
                stream, null, extra);
        }

        LaunchAttribute attribute = LaunchAttribute.ProgrammaticStreamSerialization;
        LaunchConfiguration configuration = new() { Shape = shape, Stream = stream, Attributes = &attribute, AttributeCount = 1 };
        return launchKernelEx(&configuration, function, null, extra);
    }

    /// <summary>Throws where a call failed.</summary>
    public void Check(string kernel, string call, int code)
    {
        if (code != 0)
            throw new DriverCallException(FailureText(kernel, call, code, ErrorName(code), []));
    }

    /// <summary>What an exception says: kernel, call, error, and the lines of the driver's log that hold something.</summary>
    public static string FailureText(string kernel, string call, int code, string? name, ReadOnlySpan<byte> log)
    {
        int end = log.IndexOf((byte)0);
        string text = Encoding.UTF8.GetString(end < 0 ? log : log[..end]);
        string[] lines = text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        string failure = $"{kernel}: {call} failed: {(name is null ? $"error {code}" : $"{name} ({code})")}";
        return lines.Length == 0 ? failure : $"{failure}; the driver says:\n{string.Join('\n', lines)}";
    }

    private string? ErrorName(int code)
    {
        byte* name;
        return getErrorName is not null && getErrorName(code, &name) == 0 ? Marshal.PtrToStringUTF8((nint)name) : null;
    }

    private static nint Required(Func<string, nint> export, string name) =>
        export(name) is var address and not 0 ? address : throw new NotSupportedException($"the CUDA driver has no {name}");
}

/// <summary>CUfunction_attribute: what the driver tells of a loaded kernel.</summary>
internal enum FunctionAttribute
{
    MaxThreadsPerBlock = 0,
    SharedSizeBytes = 1,
    ConstSizeBytes = 2,
    LocalSizeBytes = 3,
    NumRegs = 4,
    PtxVersion = 5,
    BinaryVersion = 6,
    MaxDynamicSharedSizeBytes = 8,
}

/// <summary>What the driver's compiler made of a kernel; shared memory is the static part, local memory holds spills and arrays.</summary>
internal sealed record KernelAttributes(int Registers, int LocalBytes, int SharedBytes, int ConstantBytes, int MaxGroupThreads);

/// <summary>A kernel on a device.</summary>
internal sealed record LoadedKernel(string Name, KernelAttributes Attributes);

/// <summary>A call of the CUDA driver has failed; the message names the call and the driver's error.</summary>
internal sealed class DriverCallException(string message) : InvalidOperationException(message);
