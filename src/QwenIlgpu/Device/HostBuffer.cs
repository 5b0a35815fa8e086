using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu;

/// <summary>
/// Host memory that the device copies from and to by itself: page-locked on CUDA, so that a copy is queued, the call returns and the
/// contents must stay; ordinary on other accelerators, where the call returns when the copy is done.
/// </summary>
internal sealed unsafe class HostBuffer<T> : IDisposable
    where T : unmanaged
{
    private readonly ComputeDevice device;
    private readonly HostPages? pages;
    private T* values;

    public HostBuffer(ComputeDevice device, long length)
    {
        (this.device, Length) = (device, length);
        nuint bytes = (nuint)length * (nuint)sizeof(T);
        if (bytes == 0)
            return;
        if (device.IsCuda)
        {
            device.Bind();
            CudaDriver.Check(CudaDriver.MemAllocHost(out nint memory, bytes), $"cuMemAllocHost of {bytes} bytes");
            values = (T*)memory;
        }
        else if (bytes >= HostPages.LeastBytes)
        {
            pages = new HostPages((long)bytes);
            values = (T*)pages.Address;
            return;
        }
        else
        {
            values = (T*)NativeMemory.Alloc(bytes);
        }

        NativeMemory.Clear(values, bytes);
    }

    /// <summary>Elements; they may be more than 2^31.</summary>
    public long Length { get; }

    /// <summary>All elements.</summary>
    /// <exception cref="OverflowException">They are more than a span can hold.</exception>
    public Span<T> Span => new(values, checked((int)Length));

    /// <summary>Queues the copy of the elements from <paramref name="offset"/> on to a view, as many as it has.</summary>
    public void Upload(ArrayView<T> target, AcceleratorStream stream, long offset = 0)
    {
        nuint bytes = BytesOf(target, offset);
        T* source = values + offset;
        if (bytes == 0)
            return;
        if (stream is CudaStream cuda)
            CudaDriver.Check(CudaDriver.MemcpyHostToDevice(target.LoadEffectiveAddressAsPtr(), (nint)source, bytes, cuda.StreamPtr), "cuMemcpyHtoDAsync");
        else if (device.IsCpu)
            NativeMemory.Copy(source, (void*)target.LoadEffectiveAddressAsPtr(), bytes);
        else
            target.CopyFromCPU(stream, new ReadOnlySpan<T>(source, checked((int)target.Length)));
    }

    /// <summary>Queues the copy of a view to the elements from <paramref name="offset"/> on.</summary>
    public void Download(ArrayView<T> source, AcceleratorStream stream, long offset = 0)
    {
        nuint bytes = BytesOf(source, offset);
        T* target = values + offset;
        if (bytes == 0)
            return;
        if (stream is CudaStream cuda)
            CudaDriver.Check(CudaDriver.MemcpyDeviceToHost((nint)target, source.LoadEffectiveAddressAsPtr(), bytes, cuda.StreamPtr), "cuMemcpyDtoHAsync");
        else if (device.IsCpu)
            NativeMemory.Copy((void*)source.LoadEffectiveAddressAsPtr(), target, bytes);
        else
            source.CopyToCPU(stream, new Span<T>(target, checked((int)source.Length)));
    }

    public void Dispose()
    {
        if (values == null)
            return;
        if (device.IsCuda)
        {
            device.Bind();
            CudaDriver.Check(CudaDriver.MemFreeHost((nint)values), "cuMemFreeHost");
        }
        else if (pages is not null)
        {
            pages.Dispose();
        }
        else
        {
            NativeMemory.Free(values);
        }

        values = null;
    }

    private nuint BytesOf(ArrayView<T> view, long offset) => offset >= 0 && view.Length <= Length - offset
        ? (nuint)view.Length * (nuint)sizeof(T)
        : throw new ArgumentException($"the view has {view.Length} elements, the host buffer {Length}, of which {offset} come before");
}
