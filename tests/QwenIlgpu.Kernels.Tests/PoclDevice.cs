using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using ILGPU.Runtime.OpenCL;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// OpenCL on the CPU by PoCL, for kernels that are too slow on ILGPU's CPU accelerator. One for the whole run. It cannot run dynamic
/// shared memory, native warp operations, atomic floats and ILGPU's Half.
/// </summary>
internal static class PoclDevice
{
    private static readonly Lazy<(TestDevice? Device, string Reason)> SharedDevice = new(Open);

    /// <summary>The device; without it the test that asks is skipped.</summary>
    public static TestDevice Shared
    {
        get
        {
            if (SharedDevice.Value.Device is null)
                Assert.Ignore(SharedDevice.Value.Reason);
            return SharedDevice.Value.Device!;
        }
    }

    public static void ReleaseBuffers()
    {
        if (SharedDevice.IsValueCreated)
            SharedDevice.Value.Device?.Release();
    }

    public static void DisposeShared()
    {
        if (SharedDevice.IsValueCreated)
            SharedDevice.Value.Device?.Dispose();
    }

    private static (TestDevice? Device, string Reason) Open()
    {
        // The loader looks for libOpenCL.so, which only development packages hold.
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += (_, name) =>
            name == "OpenCL" && NativeLibrary.TryLoad("libOpenCL.so.1", out nint library) ? library : 0;
        if (!NativeLibrary.TryLoad("libOpenCL.so.1", out _))
            return (null, "no libOpenCL.so.1: install ocl-icd-libopencl1 and pocl-opencl-icd");

        Context context = Context.Create(b =>
            b.OpenCL(d => d.PlatformName.Contains("Portable Computing Language", StringComparison.Ordinal))
                .EnableAlgorithms().Optimize(OptimizationLevel.O2));
        if (context.GetCLDevices().Count == 0)
        {
            context.Dispose();
            return (null, "no OpenCL device of PoCL: install pocl-opencl-icd");
        }

        return (new TestDevice(context, Create), "");
    }

    // PoCL does not announce a generic address space, which ILGPU asks for. Kernels whose address spaces ILGPU infers need none.
    private static CLAccelerator Create(Context context)
    {
        CLDevice device = context.GetCLDevice(0);
        PropertyInfo property = device.Capabilities.GetType().GetProperty("GenericAddressSpace")!;
        property.GetSetMethod(nonPublic: true)!.Invoke(device.Capabilities, [true]);
        return device.CreateCLAccelerator(context);
    }
}
