using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.PtxMachine;

/// <summary>Start-up, the devices, and the texts of errors.</summary>
internal static unsafe class DeviceCalls
{
    private const int Prohibited = 2;

    private static bool isStarted;

    private static DriverOptions Options => MachineDriver.Options;

    private static GpuArchitecture Architecture => Options.Architecture;

    /// <exception cref="DriverException">There is no such device, or it may not be used.</exception>
    public static void ThrowUnlessDevice(int device)
    {
        DriverException.ThrowUnless(isStarted, DriverResult.NotInitialized);
        DriverException.ThrowUnless(device >= 0 && device < Options.Devices && !Options.IsProhibited, DriverResult.InvalidDevice);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuInit")]
    public static DriverResult Init(uint flags) => MachineDriver.Call(new CallNote("cuInit"), flags, static (flags, ref n) =>
    {
        DriverException.ThrowUnless(flags == 0, DriverResult.InvalidValue);
        n.Result = (DriverResult)Options.InitResult;
        isStarted = n.Result == DriverResult.Success;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuDriverGetVersion")]
    public static DriverResult DriverVersion(int* version)
    {
        *version = Options.DriverVersion;
        return DriverResult.Success;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetCount")]
    public static DriverResult Count(int* count)
    {
        *count = Options.Devices;
        return isStarted ? DriverResult.Success : DriverResult.NotInitialized;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGet")]
    public static DriverResult Get(int* device, int ordinal) => Answer(ordinal, device, ordinal);

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetName")]
    public static DriverResult Name(byte* name, int bytes, int device)
    {
        if (!Exists(device) || bytes < 1)
            return DriverResult.InvalidDevice;
        byte[] text = Encoding.UTF8.GetBytes(Options.Devices == 1 ? Options.Name : $"{Options.Name} {device}");
        int count = Math.Min(text.Length, bytes - 1);
        text.AsSpan(0, count).CopyTo(new Span<byte>(name, bytes));
        name[count] = 0;
        return DriverResult.Success;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceTotalMem_v2")]
    public static DriverResult TotalMemory(nint* bytes, int device)
    {
        *bytes = (nint)Options.MemoryBytes;
        return Exists(device) ? DriverResult.Success : DriverResult.InvalidDevice;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceComputeCapability")]
    public static DriverResult Capability(int* major, int* minor, int device)
    {
        (*major, *minor) = (Architecture.Major, Architecture.Minor);
        return Exists(device) ? DriverResult.Success : DriverResult.InvalidDevice;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetAttribute")]
    public static DriverResult Attribute(int* value, int attribute, int device) => Answer(device, value, Attribute(attribute, device));

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceCanAccessPeer")]
    public static DriverResult CanAccessPeer(int* can, int device, int peer) => Answer(device, can, Exists(peer) && device != peer ? 1 : 0);

    // Of the attributes the performance rank alone has a value.
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetP2PAttribute")]
    public static DriverResult PeerAttribute(int* value, int attribute, int source, int target) => Answer(source, value, 0);

    [UnmanagedCallersOnly(EntryPoint = "cuGetErrorName")]
    public static DriverResult ErrorName(DriverResult result, nint* text) => Answer(DriverResultText.Name(result), text);

    [UnmanagedCallersOnly(EntryPoint = "cuGetErrorString")]
    public static DriverResult ErrorString(DriverResult result, nint* text) => Answer(DriverResultText.Sentence(result), text);

    private static bool Exists(int device) => device >= 0 && device < Options.Devices;

    private static DriverResult Answer(int device, int* answer, int value)
    {
        if (!Exists(device))
            return DriverResult.InvalidDevice;
        *answer = value;
        return DriverResult.Success;
    }

    private static DriverResult Answer(nint found, nint* text)
    {
        *text = found;
        return found == 0 ? DriverResult.InvalidValue : DriverResult.Success;
    }

    // By the numbers of CUdevice_attribute.
    private static int Attribute(int number, int device) => number switch
    {
        1 or 2 or 3 => GpuArchitecture.MaxGroupThreads,     // threads of a group, group x, y
        4 => GpuArchitecture.MaxGroupZ,
        5 => GpuArchitecture.MaxGridX,
        6 or 7 => GpuArchitecture.MaxGridYZ,
        8 => GpuArchitecture.FreeSharedBytes,
        9 => 64 << 10,                                      // constant bytes
        10 => 32,                                           // warp
        12 or 82 => GpuArchitecture.Registers,              // of a group, of a multiprocessor
        13 => Architecture.ClockMhz * 1000,
        16 => Architecture.Multiprocessors,
        20 => Options.IsProhibited ? Prohibited : 0,        // compute mode
        33 => device + 1,                                   // PCI bus
        34 or 35 or 50 => 0,                                // PCI device, TCC, PCI domain
        36 => Architecture.MemoryClockMhz * 1000,
        37 => Architecture.MemoryBusBits,
        38 => Architecture.L2Bytes,
        39 => Architecture.MultiprocessorThreads,
        40 => 3,                                            // copy engines
        75 => Architecture.Major,
        76 => Architecture.Minor,
        81 => Architecture.MultiprocessorSharedBytes,
        97 => Architecture.MaxSharedBytes,
        106 => Architecture.MultiprocessorGroups,
        _ => 1,
    };
}
