using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu;

/// <summary>
/// The device buffers, page-locked host buffers and events of one owner, freed together. Views start at multiples of at least 256
/// bytes.
/// </summary>
internal sealed class DeviceMemory(ComputeDevice device) : IDisposable
{
    private readonly List<IDisposable> owned = [];

    /// <summary>Bytes on the device.</summary>
    public long AllocatedBytes { get; private set; }

    /// <summary>A view of uninitialised memory; lengths may exceed 2^31 elements.</summary>
    public ArrayView<T> Allocate<T>(long length)
        where T : unmanaged
    {
        // An empty buffer is not a thing on every accelerator.
        MemoryBuffer1D<T, Stride1D.Dense> buffer = device.Accelerator.Allocate1D<T>(Math.Max(length, 1));
        owned.Add(buffer);
        AllocatedBytes += buffer.LengthInBytes;
        return buffer.View.AsContiguous().SubView(0, length);
    }

    /// <summary>A view of zeros.</summary>
    public ArrayView<T> AllocateZeroed<T>(long length)
        where T : unmanaged
    {
        ArrayView<T> view = Allocate<T>(length);
        if (length > 0)
            view.MemSetToZero(device.Stream);
        return view;
    }

    /// <summary>Host memory of zeros that the device copies from and to by itself.</summary>
    public HostBuffer<T> AllocateHost<T>(int length)
        where T : unmanaged => Own(new HostBuffer<T>(device, length));

    public DeviceEvent NewEvent() => Own(new DeviceEvent(device));

    public void Dispose()
    {
        foreach (IDisposable resource in owned)
            resource.Dispose();
        owned.Clear();
    }

    private TResource Own<TResource>(TResource resource)
        where TResource : IDisposable
    {
        owned.Add(resource);
        return resource;
    }
}
