using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// A CUDA driver made of managed functions that the native calls land in: it remembers them and answers as it is told. Functions
/// without state can only remember in static fields, so a test that uses it resets it first and runs alone.
/// </summary>
internal static unsafe class StandInDriver
{
    public const nint Module = 0x1000;
    public const nint Function = 0x2000;

    public static List<string> Calls { get; } = [];

    /// <summary>What the module compiler returns, and writes into its log.</summary>
    public static int LoadResult { get; set; }

    public static string Log { get; set; } = "";

    public static int LaunchResult { get; set; }

    /// <summary>The last launch.</summary>
    public static LaunchShape Shape { get; private set; }

    public static nint Stream { get; private set; }

    public static byte[] Arguments { get; } = new byte[4096];

    public static int ArgumentBytes { get; private set; }

    public static int LaunchCount { get; private set; }

    /// <summary>Id and value of each attribute of the last launch.</summary>
    public static List<(int Id, int Value)> LaunchAttributes { get; } = [];

    public static void Reset()
    {
        Calls.Clear();
        LaunchAttributes.Clear();
        (LoadResult, LaunchResult, LaunchCount, Log) = (0, 0, 0, "");
    }

    /// <param name="without">A function that this driver lacks.</param>
    public static KernelDriver Create(string? without = null) => new(name => name == without ? 0 : Export(name));

    private static nint Export(string name) => name switch
    {
        "cuModuleLoadDataEx" => (nint)(delegate* unmanaged<nint*, byte*, uint, int*, void**, int>)&ModuleLoadDataEx,
        "cuModuleUnload" => (nint)(delegate* unmanaged<nint, int>)&ModuleUnload,
        "cuModuleGetFunction" => (nint)(delegate* unmanaged<nint*, nint, byte*, int>)&ModuleGetFunction,
        "cuFuncGetAttribute" => (nint)(delegate* unmanaged<int*, int, nint, int>)&FuncGetAttribute,
        "cuFuncSetAttribute" => (nint)(delegate* unmanaged<nint, int, int, int>)&FuncSetAttribute,
        "cuLaunchKernel" =>
            (nint)(delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)&LaunchKernel,
        "cuLaunchKernelEx" => (nint)(delegate* unmanaged<LaunchConfiguration*, nint, void**, void**, int>)&LaunchKernelEx,
        "cuGetErrorName" => (nint)(delegate* unmanaged<int, byte**, int>)&GetErrorName,
        _ => 0,
    };

    [UnmanagedCallersOnly]
    private static int ModuleLoadDataEx(nint* module, byte* text, uint count, int* options, void** values)
    {
        Calls.Add($"load {Marshal.PtrToStringUTF8((nint)text)!.Length} characters");
        for (int i = 0; i < count; i++)
        {
            if (options[i] == 5)
                Encoding.UTF8.GetBytes(Log + '\0').CopyTo(new Span<byte>(values[i], (int)values[i + 1]));
        }

        *module = Module;
        return LoadResult;
    }

    [UnmanagedCallersOnly]
    private static int ModuleUnload(nint module)
    {
        Calls.Add($"unload {module:x}");
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int ModuleGetFunction(nint* function, nint module, byte* name)
    {
        Calls.Add($"function {Marshal.PtrToStringUTF8((nint)name)} of {module:x}");
        *function = Function;
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int FuncGetAttribute(int* value, int attribute, nint function)
    {
        *value = (FunctionAttribute)attribute switch
        {
            FunctionAttribute.NumRegs => 40,
            FunctionAttribute.SharedSizeBytes => 1024,
            FunctionAttribute.ConstSizeBytes => 8,
            FunctionAttribute.MaxThreadsPerBlock => 1024,
            _ => 0,
        };
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int FuncSetAttribute(nint function, int attribute, int value)
    {
        Calls.Add($"set {(FunctionAttribute)attribute} = {value}");
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int LaunchKernel(
        nint function, uint gridX, uint gridY, uint gridZ, uint groupX, uint groupY, uint groupZ, uint sharedBytes, nint stream,
        void** parameters, void** extra)
    {
        LaunchAttributes.Clear();
        return Launched(new LaunchShape(gridX, gridY, gridZ, groupX, groupY, groupZ, sharedBytes), stream, extra);
    }

    [UnmanagedCallersOnly]
    private static int LaunchKernelEx(LaunchConfiguration* configuration, nint function, void** parameters, void** extra)
    {
        LaunchAttributes.Clear();
        byte* start = (byte*)configuration;
        byte* attributes = *(byte**)(start + 40);
        for (int i = 0; i < *(uint*)(start + 48); i++)
            LaunchAttributes.Add((*(int*)(attributes + (72 * i)), *(int*)(attributes + (72 * i) + 8)));
        uint* shape = (uint*)start;
        return Launched(
            new LaunchShape(shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6]), *(nint*)(start + 32), extra);
    }

    [UnmanagedCallersOnly]
    private static int GetErrorName(int code, byte** name)
    {
        ReadOnlySpan<byte> text = "CUDA_ERROR_INVALID_PTX\0"u8;
        *name = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(text));
        return code == 218 ? 0 : 1;
    }

    private static int Launched(LaunchShape shape, nint stream, void** extra)
    {
        if ((nint)extra[0] != 1 || (nint)extra[2] != 2 || extra[4] != null)
            return 1;
        (Shape, Stream, ArgumentBytes) = (shape, stream, (int)*(nuint*)extra[3]);
        new Span<byte>(extra[1], ArgumentBytes).CopyTo(Arguments);
        LaunchCount++;
        return LaunchResult;
    }
}
