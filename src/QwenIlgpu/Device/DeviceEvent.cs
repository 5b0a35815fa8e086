using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu;

/// <summary>
/// A point in a stream that the host or another stream can wait for. Only CUDA has them: elsewhere there is one stream, and copies
/// wait for it by themselves.
/// </summary>
internal sealed class DeviceEvent : IDisposable
{
    private readonly ComputeDevice device;
    private nint handle;

    /// <summary>isTimed: the time between two such events can be asked for, which makes them slower.</summary>
    public DeviceEvent(ComputeDevice device, bool isTimed = false)
    {
        this.device = device;
        if (device.IsCuda)
            CudaDriver.Check(CudaDriver.EventCreate(out handle, isTimed ? 0 : CudaDriver.EventDisableTiming), "cuEventCreate");
    }

    /// <summary>Whether everything queued before the last <see cref="Record"/> is done; true before the first.</summary>
    public bool IsReached
    {
        get
        {
            if (handle == 0)
                return true;
            int code = CudaDriver.EventQuery(handle);
            if (code != CudaDriver.NotReady)
                CudaDriver.Check(code, "cuEventQuery");
            return code == CudaDriver.Success;
        }
    }

    /// <summary>Moves the point to the end of what is queued on the stream now.</summary>
    public void Record(AcceleratorStream stream)
    {
        if (handle != 0)
            CudaDriver.Check(CudaDriver.EventRecord(handle, ((CudaStream)stream).StreamPtr), "cuEventRecord");
    }

    /// <summary>Blocks the calling thread until the point is reached.</summary>
    public void Wait()
    {
        if (handle != 0)
            CudaDriver.Check(CudaDriver.EventSynchronize(handle), "cuEventSynchronize");
    }

    /// <summary>Between another timed event and this one, both reached, on CUDA.</summary>
    public double MicrosecondsSince(DeviceEvent earlier)
    {
        CudaDriver.Check(CudaDriver.EventElapsedTime(out float milliseconds, earlier.handle, handle), "cuEventElapsedTime");
        return milliseconds * 1e3;
    }

    /// <summary>Whatever is queued on the stream from now on starts after the point is reached.</summary>
    public void Delay(AcceleratorStream stream)
    {
        if (handle != 0)
            CudaDriver.Check(CudaDriver.StreamWaitEvent(((CudaStream)stream).StreamPtr, handle, 0), "cuStreamWaitEvent");
    }

    public void Dispose()
    {
        if (handle == 0)
            return;
        device.Bind();
        CudaDriver.Check(CudaDriver.EventDestroy(handle), "cuEventDestroy");
        handle = 0;
    }
}
