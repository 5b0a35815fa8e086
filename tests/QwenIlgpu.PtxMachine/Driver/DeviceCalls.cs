using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.PtxMachine;

/// <summary>Start-up, the one device, and the texts of errors.</summary>
internal static unsafe class DeviceCalls
{
    private const int Device = 0;

    private static DriverOptions Options => MachineDriver.Options;

    [UnmanagedCallersOnly(EntryPoint = "cuInit")]
    public static DriverResult Init(uint flags) => flags == 0 ? DriverResult.Success : DriverResult.InvalidValue;

    [UnmanagedCallersOnly(EntryPoint = "cuDriverGetVersion")]
    public static DriverResult DriverVersion(int* version) => Answer(Device, version, Options.DriverVersion);

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetCount")]
    public static DriverResult Count(int* count) => Answer(Device, count, 1);

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGet")]
    public static DriverResult Get(int* device, int ordinal) => Answer(ordinal, device, Device);

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetName")]
    public static DriverResult Name(byte* name, int bytes, int device) => MachineDriver.Call(() =>
    {
        DriverException.ThrowUnless(device == Device, DriverResult.InvalidDevice);
        byte[] text = Encoding.UTF8.GetBytes(Options.Name);
        int count = Math.Min(text.Length, bytes - 1);
        text.AsSpan(0, count).CopyTo(new Span<byte>(name, bytes));
        name[count] = 0;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceTotalMem_v2")]
    public static DriverResult TotalMemory(nint* bytes, int device)
    {
        *bytes = (nint)Options.MemoryBytes;
        return device == Device ? DriverResult.Success : DriverResult.InvalidDevice;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceComputeCapability")]
    public static DriverResult Capability(int* major, int* minor, int device)
    {
        (*major, *minor) = Options.Capability;
        return device == Device ? DriverResult.Success : DriverResult.InvalidDevice;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetAttribute")]
    public static DriverResult Attribute(int* value, int attribute, int device) => Answer(device, value, Attribute(attribute));

    // There is no peer of the one device.
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceCanAccessPeer")]
    public static DriverResult CanAccessPeer(int* can, int device, int peer) => Answer(device | peer, can, 0);

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetP2PAttribute")]
    public static DriverResult PeerAttribute(int* value, int attribute, int source, int target) => Answer(source | target, value, 0);

    [UnmanagedCallersOnly(EntryPoint = "cuGetErrorName")]
    public static DriverResult ErrorName(DriverResult result, nint* text) => Answer(DriverResultText.Name(result), text);

    [UnmanagedCallersOnly(EntryPoint = "cuGetErrorString")]
    public static DriverResult ErrorString(DriverResult result, nint* text) => Answer(DriverResultText.Sentence(result), text);

    private static DriverResult Answer(int device, int* answer, int value)
    {
        if (device != Device)
            return DriverResult.InvalidDevice;
        *answer = value;
        return DriverResult.Success;
    }

    private static DriverResult Answer(nint found, nint* text)
    {
        *text = found;
        return found == 0 ? DriverResult.InvalidValue : DriverResult.Success;
    }

    // By the numbers of CUdevice_attribute, an H100's values.
    private static int Attribute(int number) => number switch
    {
        1 or 2 or 3 => 1024,                    // threads of a group, group x, y
        4 => LaunchCalls.MaxGroupZ,
        5 => LaunchCalls.MaxGridX,
        6 or 7 => LaunchCalls.MaxGridYZ,
        8 => DriverFunction.FreeSharedBytes,
        9 => 64 << 10,                          // constant bytes
        10 => 32,                               // warp
        12 or 82 => DriverFunction.Registers,   // of a group, of a multiprocessor
        13 => 1_980_000,                        // clock, kHz
        16 => Options.Multiprocessors,
        33 => 1,                                // PCI bus
        20 or 34 or 35 or 50 => 0,              // compute mode, PCI device, TCC, PCI domain
        36 => 2_619_000,                        // memory clock, kHz
        37 => 5120,                             // memory bus, bits
        38 => 50 << 20,                         // L2 bytes
        39 => DriverFunction.MultiprocessorThreads,
        40 => 3,                                // copy engines
        75 => Options.Capability.Major,
        76 => Options.Capability.Minor,
        81 => DriverFunction.MultiprocessorSharedBytes,
        97 => DriverFunction.MaxSharedBytes,
        _ => 1,
    };
}
