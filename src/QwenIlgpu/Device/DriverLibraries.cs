using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu;

/// <summary>
/// Finds the native drivers under their versioned names: containers often hold only those, and ILGPU, which asks for the plain
/// names, then reports no device.
/// </summary>
internal static class DriverLibraries
{
    /// <summary>Name under which this assembly and ILGPU import the CUDA driver.</summary>
    public const string Cuda = "cuda";

    /// <summary>File that a system with a CUDA driver has.</summary>
    public const string CudaFile = "libcuda.so.1";

    private const string OpenClFile = "libOpenCL.so.1";

    private static readonly Lazy<bool> Registered = new(() =>
    {
        NativeLibrary.SetDllImportResolver(typeof(DriverLibraries).Assembly, (name, _, _) => Resolve(name));
        try
        {
            NativeLibrary.SetDllImportResolver(typeof(Context).Assembly, (name, _, _) => Resolve(name));
        }
        catch (InvalidOperationException)
        {
            // ILGPU sets a resolver of its own under WSL, and that one finds the driver.
        }

        return true;
    });

    /// <summary>Must precede the first call of a driver, ours or ILGPU's.</summary>
    public static void Register() => _ = Registered.Value;

    private static nint Resolve(string name) => name switch
    {
        Cuda when NativeLibrary.TryLoad(CudaFile, out nint cuda) => cuda,
        "OpenCL" when NativeLibrary.TryLoad(OpenClFile, out nint openCl) => openCl,
        _ => 0,
    };
}
