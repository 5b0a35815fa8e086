using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu;

/// <summary>
/// What the CUDA driver says of itself. ILGPU reports no device, and nothing else, whatever went wrong; this asks the driver
/// first so that a refusal names its cause.
/// </summary>
internal sealed partial record CudaProbe(string? Refusal, int DriverVersion, IReadOnlyList<CudaDeviceReport> Devices)
{
    private const string Library = "cuda";
    private static readonly Lock ResolverGate = new();
    private static bool resolverSet;

    /// <summary>Driver version as people write it: 12040 is 12.4.</summary>
    public string DriverText => $"{DriverVersion / 1000}.{DriverVersion % 1000 / 10}";

    public static CudaProbe Run()
    {
        RegisterLibraryNames();
        if (!TryLoadDriver())
            return new CudaProbe("the CUDA driver library (libcuda.so.1) is not installed", 0, []);
        try
        {
            int code = Init(0);
            if (code != 0)
                return new CudaProbe($"the CUDA driver refused to start: {Describe(code)}", 0, []);
            Check(DriverGetVersion(out int version), "cuDriverGetVersion");
            Check(DeviceGetCount(out int count), "cuDeviceGetCount");
            CudaDeviceReport[] devices = [.. Enumerable.Range(0, count).Select(Report)];
            string? refusal = count == 0 ? "the CUDA driver lists no device (is CUDA_VISIBLE_DEVICES empty?)" : null;
            return new CudaProbe(refusal, version, devices);
        }
        catch (Exception e) when (e is EntryPointNotFoundException or BadImageFormatException or InvalidOperationException)
        {
            return new CudaProbe($"the CUDA driver library does not answer: {e.Message}", 0, []);
        }
    }

    // Containers often hold only the versioned library names, which ILGPU does not try.
    private static void RegisterLibraryNames()
    {
        lock (ResolverGate)
        {
            if (resolverSet)
                return;
            resolverSet = true;
            NativeLibrary.SetDllImportResolver(typeof(CudaProbe).Assembly, (name, _, _) => Resolve(name));
            try
            {
                NativeLibrary.SetDllImportResolver(typeof(Context).Assembly, (name, _, _) => Resolve(name));
            }
            catch (InvalidOperationException)
            {
                // ILGPU sets a resolver of its own under WSL, and that one finds the driver.
            }
        }
    }

    private static nint Resolve(string name) => name switch
    {
        Library when NativeLibrary.TryLoad("libcuda.so.1", out nint cuda) => cuda,
        "OpenCL" when NativeLibrary.TryLoad("libOpenCL.so.1", out nint openCl) => openCl,
        _ => 0,
    };

    private static bool TryLoadDriver() =>
        NativeLibrary.TryLoad("libcuda.so.1", out _) || NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvcuda" : Library, out _);

    private static CudaDeviceReport Report(int ordinal)
    {
        Span<byte> name = stackalloc byte[256];
        Check(DeviceGet(out int device, ordinal), "cuDeviceGet");
        Check(DeviceGetName(ref MemoryMarshal.GetReference(name), name.Length, device), "cuDeviceGetName");
        Check(DeviceTotalMem(out nuint bytes, device), "cuDeviceTotalMem");
        Check(DeviceGetAttribute(out int major, 75, device), "cuDeviceGetAttribute");
        Check(DeviceGetAttribute(out int minor, 76, device), "cuDeviceGetAttribute");
        int end = name.IndexOf((byte)0);
        return new CudaDeviceReport(
            System.Text.Encoding.UTF8.GetString(name[..(end < 0 ? name.Length : end)]), major, minor, (long)bytes);
    }

    private static void Check(int code, string call)
    {
        if (code != 0)
            throw new InvalidOperationException($"{call} failed: {Describe(code)}");
    }

    private static string Describe(int code) => code switch
    {
        100 => "no CUDA-capable device (error 100)",
        803 => "the driver library does not match the kernel module (error 803)",
        _ => $"error {code}",
    };

    [LibraryImport(Library, EntryPoint = "cuInit")]
    private static partial int Init(uint flags);

    [LibraryImport(Library, EntryPoint = "cuDriverGetVersion")]
    private static partial int DriverGetVersion(out int version);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetCount")]
    private static partial int DeviceGetCount(out int count);

    [LibraryImport(Library, EntryPoint = "cuDeviceGet")]
    private static partial int DeviceGet(out int device, int ordinal);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetName")]
    private static partial int DeviceGetName(ref byte name, int length, int device);

    [LibraryImport(Library, EntryPoint = "cuDeviceTotalMem_v2")]
    private static partial int DeviceTotalMem(out nuint bytes, int device);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetAttribute")]
    private static partial int DeviceGetAttribute(out int value, int attribute, int device);
}

/// <summary>One CUDA device as the driver describes it.</summary>
internal sealed record CudaDeviceReport(string Name, int Major, int Minor, long MemoryBytes);
