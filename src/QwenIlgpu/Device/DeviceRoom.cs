using ILGPU.Runtime.Cuda;

namespace QwenIlgpu;

/// <summary>Memory that there is for a model and its engine.</summary>
/// <param name="Name">Whose.</param>
/// <param name="Bytes">How much.</param>
/// <param name="DriverBytes">What of it the driver will take: of a card's whole memory, its context and the kernels.</param>
internal sealed record DeviceRoom(string Name, long Bytes, long DriverBytes = 0)
{
    // An allowance; what is free on an open device has the context's part taken off already.
    private const long CardDriverBytes = 512 << 20;

    /// <summary>What a device has free now; of the CPU what the system can give without swapping.</summary>
    public static DeviceRoom Of(ComputeDevice device) => new(device.Name, FreeBytes(device));

    /// <summary>A GPU with so much memory, all of which is for the model but what the driver needs.</summary>
    public static DeviceRoom OfCard(long bytes) => new("the GPU", bytes, CardDriverBytes);

    /// <summary>
    /// Bytes that the attention cache takes where nobody says how large it is: half of what a GPU has free, as activations need some too;
    /// elsewhere a quarter of the machine's, which other programs share, if half of what is free is as much.
    /// </summary>
    /// <param name="device">The device.</param>
    /// <param name="comingBytes">What will be taken of it before the cache is.</param>
    public static long DefaultCacheBytes(ComputeDevice device, long comingBytes = 0)
    {
        long halfBytes = Math.Max(0, FreeBytes(device) - comingBytes) / 2;
        return device.IsCuda ? halfBytes : Math.Min(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4, halfBytes);
    }

    /// <summary>Refuses weights that do not fit.</summary>
    /// <exception cref="InsufficientMemoryException">The message has both sizes.</exception>
    public void RequireWeights(string model, long weightBytes)
    {
        if (weightBytes > Bytes)
        {
            throw new InsufficientMemoryException(
                $"{model}: the weights take {weightBytes} bytes, {Name} has {Bytes} bytes for them; take a smaller model or INT4 weights");
        }
    }

    private static long FreeBytes(ComputeDevice device) => device.Accelerator switch
    {
        CudaAccelerator cuda => cuda.GetFreeMemory(),
        _ when device.IsCpu => AvailableMemory.Bytes(),
        { } other => other.MemorySize,
    };
}
