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

    public HostBuffer(ComputeDevice device, int length)
    {
        (this.device, Length) = (device, length);
        nuint bytes = (nuint)Math.Max(length, 1) * (nuint)sizeof(T);
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

        Span.Clear();
    }

    public int Length { get; }

    public Span<T> Span => new(values, Length);

    /// <summary>Queues the copy of the first elements to a view, as many as it has.</summary>
    public void Upload(ArrayView<T> target, AcceleratorStream stream)
    {
        nuint bytes = BytesOf(target);
        if (bytes == 0)
            return;
        if (stream is CudaStream cuda)
            CudaDriver.Check(CudaDriver.MemcpyHostToDevice(target.LoadEffectiveAddressAsPtr(), (nint)values, bytes, cuda.StreamPtr), "cuMemcpyHtoDAsync");
        else if (device.IsCpu)
            NativeMemory.Copy(values, (void*)target.LoadEffectiveAddressAsPtr(), bytes);
        else
            target.CopyFromCPU(stream, (ReadOnlySpan<T>)Span[..(int)target.Length]);
    }

    /// <summary>Queues the copy of a view to the first elements.</summary>
    public void Download(ArrayView<T> source, AcceleratorStream stream)
    {
        nuint bytes = BytesOf(source);
        if (bytes == 0)
            return;
        if (stream is CudaStream cuda)
            CudaDriver.Check(CudaDriver.MemcpyDeviceToHost((nint)values, source.LoadEffectiveAddressAsPtr(), bytes, cuda.StreamPtr), "cuMemcpyDtoHAsync");
        else if (device.IsCpu)
            NativeMemory.Copy((void*)source.LoadEffectiveAddressAsPtr(), values, bytes);
        else
            source.CopyToCPU(stream, Span[..(int)source.Length]);
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

    private nuint BytesOf(ArrayView<T> view) => view.Length <= Length
        ? (nuint)view.Length * (nuint)sizeof(T)
        : throw new ArgumentException($"the view has {view.Length} elements, the host buffer {Length}");
}
