using ILGPU.Runtime.Cuda;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>What memory there is for the caches of an engine, and whether they fit.</summary>
internal static class CacheBudget
{
    /// <summary>
    /// Bytes that the attention cache takes where nobody says how large it is: half of what a GPU has free, as activations need some too;
    /// elsewhere a quarter of the machine's, which other programs share.
    /// </summary>
    public static long DefaultBytes(ComputeDevice device) =>
        device.Accelerator is CudaAccelerator cuda ? cuda.GetFreeMemory() / 2 : FreeBytes(device) / 4;

    /// <summary>Refuses caches that do not fit the device.</summary>
    /// <exception cref="InsufficientMemoryException">The message has both sizes and what to do.</exception>
    public static void Require(ComputeDevice device, EngineCapacity capacity, long stateBytes)
    {
        long freeBytes = FreeBytes(device);
        if (stateBytes <= freeBytes)
            return;
        throw new InsufficientMemoryException(
            $"the caches of {capacity.MaxSequences} sequences and {capacity.CacheTokens} tokens take {stateBytes} bytes, {device.Accelerator.Name} has {freeBytes} bytes for them; "
            + $"lower {nameof(EngineOptions.CacheTokens)}, {nameof(EngineOptions.ContextTokens)} or {nameof(EngineOptions.MaxSequences)}");
    }

    // What a CPU could give if all else were swapped out; a GPU knows what is left.
    private static long FreeBytes(ComputeDevice device) => device.Accelerator switch
    {
        CudaAccelerator cuda => cuda.GetFreeMemory(),
        _ when device.IsCpu => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        { } other => other.MemorySize,
    };
}
