using System.Runtime.InteropServices;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The calls of the CUDA driver that are made past ILGPU: what it does not offer (events, graphs, attributes) and copies, whose
/// wrappers in ILGPU allocate and synchronise. All but the questions need the device's context current on the thread.
/// </summary>
internal static unsafe partial class CudaDriver
{
    public const int Success = 0;
    public const int NotReady = 600;

    /// <summary>Calls that are unsafe during a capture end it only when its own thread makes them.</summary>
    public const int CaptureThreadLocal = 1;

    /// <summary>An event that is only waited for, not timed.</summary>
    public const uint EventDisableTiming = 2;

    /// <summary>Throws unless a call succeeded.</summary>
    /// <exception cref="DriverCallException">Names the call and the driver's error.</exception>
    public static void Check(int code, string call)
    {
        if (code != Success)
            throw new DriverCallException($"{call} failed: {Describe(code)}");
    }

    /// <summary>The driver's own words for an error, and its number.</summary>
    public static string Describe(int code) =>
        GetErrorString(code, out nint text) == Success && text != 0 ? $"{Marshal.PtrToStringUTF8(text)} (error {code})" : $"error {code}";

    /// <summary><see cref="NotReady"/> while work is left.</summary>
    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuStreamQuery")]
    public static partial int StreamQuery(nint stream);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuInit")]
    public static partial int Init(uint flags);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuDriverGetVersion")]
    public static partial int DriverGetVersion(out int version);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuDeviceGetCount")]
    public static partial int DeviceGetCount(out int count);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuDeviceGet")]
    public static partial int DeviceGet(out int device, int ordinal);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuDeviceGetName")]
    public static partial int DeviceGetName(byte* name, int length, int device);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuDeviceTotalMem_v2")]
    public static partial int DeviceTotalMem(out nuint bytes, int device);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuDeviceGetAttribute")]
    public static partial int DeviceGetAttribute(out int value, CudaDeviceAttribute attribute, int device);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuMemAllocHost_v2")]
    public static partial int MemAllocHost(out nint memory, nuint bytes);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuMemFreeHost")]
    public static partial int MemFreeHost(nint memory);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuMemcpyHtoDAsync_v2")]
    public static partial int MemcpyHostToDevice(nint target, nint source, nuint bytes, nint stream);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuMemcpyDtoHAsync_v2")]
    public static partial int MemcpyDeviceToHost(nint target, nint source, nuint bytes, nint stream);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuMemcpyAsync")]
    public static partial int MemcpyDeviceToDevice(nint target, nint source, nuint bytes, nint stream);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuEventCreate")]
    public static partial int EventCreate(out nint handle, uint flags);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuEventDestroy_v2")]
    public static partial int EventDestroy(nint handle);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuEventRecord")]
    public static partial int EventRecord(nint handle, nint stream);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuEventQuery")]
    public static partial int EventQuery(nint handle);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuEventSynchronize")]
    public static partial int EventSynchronize(nint handle);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuEventElapsedTime")]
    public static partial int EventElapsedTime(out float milliseconds, nint start, nint end);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuStreamWaitEvent")]
    public static partial int StreamWaitEvent(nint stream, nint handle, uint flags);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuStreamBeginCapture_v2")]
    public static partial int StreamBeginCapture(nint stream, int mode);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuStreamEndCapture")]
    public static partial int StreamEndCapture(nint stream, out nint graph);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuGraphInstantiateWithFlags")]
    public static partial int GraphInstantiate(out nint executable, nint graph, ulong flags);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuGraphLaunch")]
    public static partial int GraphLaunch(nint executable, nint stream);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuGraphDestroy")]
    public static partial int GraphDestroy(nint graph);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuGraphExecDestroy")]
    public static partial int GraphExecDestroy(nint executable);

    [LibraryImport(DriverLibraries.Cuda, EntryPoint = "cuGetErrorString")]
    private static partial int GetErrorString(int code, out nint text);
}

/// <summary>The driver's numbers of the device attributes that are asked for.</summary>
internal enum CudaDeviceAttribute
{
    SharedBytesPerBlock = 8,
    Multiprocessors = 16,
    ComputeMode = 20,
    L2Bytes = 38,
    Major = 75,
    Minor = 76,
    SharedBytesPerMultiprocessor = 81,
    SharedBytesPerBlockOptIn = 97,
}
