namespace QwenIlgpu.PtxMachine;

/// <summary>
/// The machine's global memory: allocations of this process, whose addresses are the device's, with a note of which bytes have ever been
/// written. Fresh memory is full of ones: NaN in every float type.
/// </summary>
public sealed unsafe class DeviceMemory : IDisposable
{
    /// <summary>New memory, aligned to 256 bytes, that nothing has written.</summary>
    public nint Allocate(long bytes) => throw new NotImplementedException();

    /// <exception cref="ArgumentException">Nothing was allocated there.</exception>
    public void Free(nint address) => throw new NotImplementedException();

    /// <summary>Notes that the host wrote these bytes (copies, fills).</summary>
    public void MarkWritten(nint address, long bytes) => throw new NotImplementedException();

    /// <summary>Makes bytes what they were when they were fresh: ones that nothing wrote.</summary>
    public void Poison(nint address, long bytes) => throw new NotImplementedException();

    public void Dispose()
    {
    }
}
