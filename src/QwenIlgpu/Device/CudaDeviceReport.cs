using System.Text;

namespace QwenIlgpu;

/// <summary>One CUDA device as the driver describes it.</summary>
/// <param name="Ordinal">Its number in the driver's list, the N of <c>cuda:N</c>.</param>
/// <param name="Name">Name of the product.</param>
/// <param name="Major">Compute capability, before the point.</param>
/// <param name="Minor">Compute capability, behind the point.</param>
/// <param name="MemoryBytes">Memory in all.</param>
/// <param name="Multiprocessors">Streaming multiprocessors.</param>
/// <param name="SharedBytesPerBlock">Shared memory a block may use without asking.</param>
/// <param name="SharedBytesPerBlockOptIn">Shared memory a block may use when its kernel asks for it.</param>
/// <param name="SharedBytesPerMultiprocessor">Shared memory that the blocks of one multiprocessor share.</param>
/// <param name="L2Bytes">Size of the L2 cache.</param>
/// <param name="Refusal">Why the device is not used; null when it can be.</param>
internal sealed record CudaDeviceReport(
    int Ordinal, string Name, int Major, int Minor, long MemoryBytes, int Multiprocessors, int SharedBytesPerBlock,
    int SharedBytesPerBlockOptIn, int SharedBytesPerMultiprocessor, int L2Bytes, string? Refusal)
{
    private const int Prohibited = 2;
    private const int LeastMajor = 8;

    /// <summary>Name of the architecture, such as <c>sm_90</c>.</summary>
    public string Architecture => $"sm_{Major}{Minor}";

    /// <summary>Asks the driver, which has been initialised.</summary>
    public static unsafe CudaDeviceReport Read(int ordinal)
    {
        const int MaxName = 256;
        byte* name = stackalloc byte[MaxName];
        CudaDriver.Check(CudaDriver.DeviceGet(out int device, ordinal), "cuDeviceGet");
        CudaDriver.Check(CudaDriver.DeviceGetName(name, MaxName, device), "cuDeviceGetName");
        CudaDriver.Check(CudaDriver.DeviceTotalMem(out nuint bytes, device), "cuDeviceTotalMem");
        int major = Attribute(CudaDeviceAttribute.Major, device);
        int minor = Attribute(CudaDeviceAttribute.Minor, device);
        var text = new ReadOnlySpan<byte>(name, MaxName);
        int end = text.IndexOf((byte)0);
        return new CudaDeviceReport(
            ordinal, Encoding.UTF8.GetString(end < 0 ? text : text[..end]), major, minor, (long)bytes,
            Attribute(CudaDeviceAttribute.Multiprocessors, device),
            Attribute(CudaDeviceAttribute.SharedBytesPerBlock, device),
            Attribute(CudaDeviceAttribute.SharedBytesPerBlockOptIn, device),
            Attribute(CudaDeviceAttribute.SharedBytesPerMultiprocessor, device),
            Attribute(CudaDeviceAttribute.L2Bytes, device),
            RefusalOf(major, minor, Attribute(CudaDeviceAttribute.ComputeMode, device)));
    }

    private static string? RefusalOf(int major, int minor, int computeMode)
    {
        if (major < LeastMajor)
            return $"its architecture is sm_{major}{minor}, and the kernels need sm_{LeastMajor}0 or later (Ampere, 2020)";
        return computeMode == Prohibited
            ? "its compute mode is 'prohibited'; an administrator can allow it with nvidia-smi --compute-mode=0"
            : null;
    }

    private static int Attribute(CudaDeviceAttribute attribute, int device)
    {
        CudaDriver.Check(CudaDriver.DeviceGetAttribute(out int value, attribute, device), $"cuDeviceGetAttribute({attribute})");
        return value;
    }
}
