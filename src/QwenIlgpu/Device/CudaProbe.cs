using System.Runtime.InteropServices;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// What the CUDA driver says of itself. ILGPU reports no device, and nothing else, whatever went wrong; this asks the driver
/// first so that a refusal names its cause.
/// </summary>
/// <param name="Refusal">Why no device at all can be used; null when the driver works.</param>
/// <param name="DriverVersion">The highest CUDA version the driver supports, 12040 for 12.4; 0 if it did not say.</param>
/// <param name="Devices">By ordinal.</param>
internal sealed record CudaProbe(string? Refusal, int DriverVersion, IReadOnlyList<CudaDeviceReport> Devices)
{
    /// <summary>The first driver that takes PTX 7.8, which knows sm_90 and every instruction that the kernels use.</summary>
    public const int LeastDriverVersion = 11_080;

    /// <summary>Driver version as people write it: 12040 is 12.4.</summary>
    public string DriverText => TextOf(DriverVersion);

    /// <summary>Asks the driver.</summary>
    /// <param name="file">The driver's file; another name stands for a machine without one.</param>
    public static CudaProbe Run(string file = DriverLibraries.CudaFile)
    {
        DriverLibraries.Register(typeof(ComputeDevice).Assembly);
        if (!NativeLibrary.TryLoad(file, out _) && !(OperatingSystem.IsWindows() && NativeLibrary.TryLoad("nvcuda", out _)))
            return new CudaProbe($"the CUDA driver library ({file}) is not installed", 0, []);
        int version = 0;
        try
        {
            int code = CudaDriver.Init(0);
            if (code != CudaDriver.Success)
                return new CudaProbe($"the CUDA driver refused to start: {Explain(code)}", 0, []);
            CudaDriver.Check(CudaDriver.DriverGetVersion(out version), "cuDriverGetVersion");
            if (version < LeastDriverVersion)
            {
                return new CudaProbe(
                    $"the driver is for CUDA {TextOf(version)}, and {TextOf(LeastDriverVersion)} or later is needed; install a newer NVIDIA driver", version, []);
            }

            CudaDriver.Check(CudaDriver.DeviceGetCount(out int count), "cuDeviceGetCount");
            CudaDeviceReport[] devices = [.. Enumerable.Range(0, count).Select(CudaDeviceReport.Read)];
            return new CudaProbe(count == 0 ? "the CUDA driver lists no device (is CUDA_VISIBLE_DEVICES empty?)" : null, version, devices);
        }
        catch (Exception e) when (e is EntryPointNotFoundException or BadImageFormatException or InvalidOperationException)
        {
            return new CudaProbe($"the CUDA driver library does not answer: {e.Message}", version, []);
        }
    }

    /// <summary>Why a device cannot be used; null when it can.</summary>
    public string? RefusalOf(int ordinal)
    {
        if (Refusal is not null)
            return Refusal;
        if (ordinal >= Devices.Count)
            return $"device {ordinal} is not there: the driver lists {Devices.Count} (cuda:0 to cuda:{Devices.Count - 1})";
        CudaDeviceReport device = Devices[ordinal];
        return device.Refusal is null ? null : $"cuda:{ordinal}, {device.Name}, is refused: {device.Refusal}";
    }

    /// <summary>The first device that is not refused, or why there is none.</summary>
    public (int Ordinal, string? Refusal) FirstUsable()
    {
        string? refusal = Refusal;
        for (int ordinal = 0; ordinal < Devices.Count; ordinal++)
        {
            string? here = RefusalOf(ordinal);
            if (here is null)
                return (ordinal, null);
            refusal = refusal is null ? here : $"{refusal}; {here}";
        }

        return (0, refusal);
    }

    private static string TextOf(int version) => $"{version / 1000}.{version % 1000 / 10}";

    // What to do about the errors that start-up is known for.
    private static string Explain(int code) => code switch
    {
        34 => $"{CudaDriver.Describe(code)}; the library found is the toolkit's stub, not the driver",
        100 => $"{CudaDriver.Describe(code)}; there is no GPU, or this container was given none",
        802 => $"{CudaDriver.Describe(code)}; the machine's NVSwitch fabric manager is not running yet",
        803 => $"{CudaDriver.Describe(code)}; the driver library does not match the kernel module: restart after an update",
        999 => $"{CudaDriver.Describe(code)}; the kernel module may be missing: does nvidia-smi work?",
        _ => CudaDriver.Describe(code),
    };
}
