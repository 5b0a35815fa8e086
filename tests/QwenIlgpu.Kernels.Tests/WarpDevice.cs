using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime.CPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// ILGPU's CPU accelerator with warps of 32 and groups of up to 128 threads. A barrier costs up to a millisecond: toy shapes only.
/// </summary>
internal static class WarpDevice
{
    private static readonly Lazy<TestDevice> SharedDevice = new(() => Open(warps: 4));
    private static readonly Lazy<TestDevice> WideDevice = new(() => Open(warps: 8));

    public static TestDevice Shared => SharedDevice.Value;

    /// <summary>The same for groups of up to 256 threads.</summary>
    public static TestDevice Wide => WideDevice.Value;

    public static void DisposeShared()
    {
        if (SharedDevice.IsValueCreated)
            SharedDevice.Value.Dispose();
        if (WideDevice.IsValueCreated)
            WideDevice.Value.Dispose();
    }

    /// <summary>Where kernels of warps are tested: on the CPU accelerator and the PTX machine, or on a GPU where one is asked for.</summary>
    public static string[] Names => TestDevice.Kind == "cuda" ? ["cuda"] : ["cpu", Usual];

    /// <summary>
    /// The one for shapes beyond toys: the PTX machine, or the GPU that is asked for.
    /// </summary>
    public static string Usual => TestDevice.Kind == "cuda" ? "cuda" : "machine";

    /// <summary>A device of <see cref="Names"/>, or the PTX machine; one that is not there skips the test that asks.</summary>
    public static TestDevice Named(string name) => name switch
    {
        "cpu" => Shared,
        "machine" => MachineDevice.Shared,
        "cuda" => TestDevice.Shared,
        _ => throw new ArgumentException($"device '{name}' is not cpu, machine or cuda"),
    };

    /// <summary>Frees the buffers of the test that just ran, on whichever device.</summary>
    public static void ReleaseBuffers()
    {
        if (SharedDevice.IsValueCreated)
            SharedDevice.Value.Release();
        if (WideDevice.IsValueCreated)
            WideDevice.Value.Release();
        MachineDevice.ReleaseBuffers();
        if (TestDevice.Kind == "cuda")
            TestDevice.Shared.Release();
    }

    private static TestDevice Open(int warps) => new(
        Context.Create(b => b.CPU(new CPUDevice(32, warps, 1)).EnableAlgorithms().Optimize(OptimizationLevel.O2)),
        c => c.GetCPUDevice(0).CreateCPUAccelerator(c, CPUAcceleratorMode.Parallel));
}
