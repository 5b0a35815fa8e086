using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Finds the CUDA driver under its versioned name: containers often hold only that, and ILGPU, which asks for the plain name, then
/// reports no device.
/// </summary>
internal static class DriverLibraries
{
    /// <summary>Name under which we and ILGPU import the CUDA driver.</summary>
    public const string Cuda = "cuda";

    /// <summary>File that a system with a CUDA driver has.</summary>
    public const string CudaFile = "libcuda.so.1";

    private static readonly Lock Gate = new();
    private static readonly HashSet<Assembly> Registered = [];

    /// <summary>
    /// Must precede the first call of a driver, ILGPU's calls included: ILGPU's imports and those of the given assembly go through
    /// here from now on.
    /// </summary>
    public static void Register(Assembly importing)
    {
        lock (Gate)
        {
            foreach (Assembly assembly in new[] { typeof(Context).Assembly, importing })
            {
                if (!Registered.Add(assembly))
                    continue;
                try
                {
                    NativeLibrary.SetDllImportResolver(assembly, (name, _, _) => Resolve(name));
                }
                catch (InvalidOperationException)
                {
                    // ILGPU sets a resolver of its own under WSL, and that one finds the driver.
                }
            }
        }
    }

    private static nint Resolve(string name) => name switch
    {
        Cuda when NativeLibrary.TryLoad(CudaFile, out nint cuda) => cuda,
        _ => 0,
    };
}
