using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The device buffers, page-locked host buffers and events of one owner, freed together. Views start at multiples of at least 256
/// bytes.
/// </summary>
internal sealed class DeviceMemory(ComputeDevice device) : IDisposable
{
    private const long AlignmentBytes = 256;

    private readonly List<IDisposable> owned = [];
    private ArrayView<byte> arena;
    private long arenaUsedBytes;

    /// <summary>Bytes on the device.</summary>
    public long AllocatedBytes { get; private set; }

    /// <summary>This memory only adds up what is asked of it: its views are empty and must not be touched.</summary>
    public bool IsMeasuring { get; init; }

    /// <summary>Bytes that an arena needs for everything that <paramref name="allocate"/> asks for.</summary>
    public static long Measure(ComputeDevice device, Action<DeviceMemory> allocate)
    {
        using var memory = new DeviceMemory(device) { IsMeasuring = true };
        allocate(memory);
        return memory.AllocatedBytes;
    }

    /// <summary>Takes one buffer that the following allocations are cut from, as far as it goes.</summary>
    public void Reserve(long bytes)
    {
        arena = AllocateBuffer<byte>(bytes);
        arenaUsedBytes = 0;
    }

    /// <summary>A view of uninitialised memory; lengths may exceed 2^31 elements.</summary>
    public ArrayView<T> Allocate<T>(long length)
        where T : unmanaged
    {
        long bytes = length * Unsafe.SizeOf<T>();
        long alignedBytes = (bytes + AlignmentBytes - 1) / AlignmentBytes * AlignmentBytes;
        if (IsMeasuring)
        {
            AllocatedBytes += alignedBytes;
            return default;
        }

        if (length == 0 || arena.Length - arenaUsedBytes < alignedBytes)
            return AllocateBuffer<T>(length);
        ArrayView<T> view = arena.SubView(arenaUsedBytes, bytes).Cast<T>();
        arenaUsedBytes += alignedBytes;
        return view;
    }

    /// <summary>A matrix of this format and shape with uninitialised memory, and no zero points.</summary>
    public WeightMatrix Allocate(WeightMatrix like) => like with
    {
        Data = Allocate<UInt4>(like.DataBytes / 16),
        Scales = like.IsDense ? default : Allocate<ushort>(like.ScaleBytes / sizeof(ushort)),
    };

    /// <summary>A view of zeros.</summary>
    public ArrayView<T> AllocateZeroed<T>(long length)
        where T : unmanaged
    {
        ArrayView<T> view = Allocate<T>(length);
        if (view.Length > 0)
            view.MemSetToZero(device.Stream);
        return view;
    }

    /// <summary>Host memory of zeros that the device copies from and to by itself; none of it in memory that only measures.</summary>
    public HostBuffer<T> AllocateHost<T>(long length)
        where T : unmanaged => Own(new HostBuffer<T>(device, IsMeasuring ? 0 : length));

    public DeviceEvent NewEvent() => Own(new DeviceEvent(device));

    public void Dispose()
    {
        for (int i = owned.Count - 1; i >= 0; i--)          // a buffer goes before the pages that it lies in
            device.Free(owned[i]);
        owned.Clear();
    }

    private ArrayView<T> AllocateBuffer<T>(long length)
        where T : unmanaged
    {
        long bytes = length * Unsafe.SizeOf<T>();
        if (device.IsCpu && bytes >= HostPages.LeastBytes)
        {
            HostPages pages = Own(new HostPages(bytes));
            CPUMemoryBuffer mapped = Own(CPUMemoryBuffer.Create(device.Accelerator, pages.Address, length, Unsafe.SizeOf<T>()));
            AllocatedBytes += bytes;
            return new ArrayView<T>(mapped, 0, length);
        }

        // An empty buffer is not a thing on every accelerator.
        MemoryBuffer1D<T, Stride1D.Dense> buffer = device.Accelerator.Allocate1D<T>(Math.Max(length, 1));
        owned.Add(buffer);
        AllocatedBytes += bytes;
        return buffer.View.AsContiguous().SubView(0, length);
    }

    private TResource Own<TResource>(TResource resource)
        where TResource : IDisposable
    {
        owned.Add(resource);
        return resource;
    }
}
