using ILGPU.Runtime.Cuda;

namespace QwenIlgpu;

/// <summary>
/// Runs one bound graph on CUDA: launch by launch the first time, which loads what the driver loads late; captured the second
/// time; from then on the whole graph is one launch. The graph's memory must outlive this. Captured is a stream of its own, so that
/// what other engines queue on the device's compute stream meanwhile stays out of the graph.
/// </summary>
internal sealed class CudaGraphRunner(OpGraph graph, ComputeDevice device) : IGraphRunner, IDisposable
{
    private readonly CudaStream stream = (CudaStream)device.Stream;
    private bool hasRun;
    private nint executable;

    public bool IsCaptured => executable != 0;

    public void Run()
    {
        if (!hasRun)
        {
            StreamRunner.Run(graph, stream);
            hasRun = true;
            return;
        }

        if (executable == 0)
            executable = Capture();
        CudaDriver.Check(CudaDriver.GraphLaunch(executable, stream.StreamPtr), "cuGraphLaunch");
    }

    public void Dispose()
    {
        if (executable == 0)
            return;
        device.Bind();
        CudaDriver.Check(CudaDriver.GraphExecDestroy(executable), "cuGraphExecDestroy");
        executable = 0;
    }

    private nint Capture()
    {
        using var origin = (CudaStream)device.Accelerator.CreateStream();
        CudaDriver.Check(CudaDriver.StreamBeginCapture(origin.StreamPtr, CudaDriver.CaptureThreadLocal), "cuStreamBeginCapture");
        try
        {
            StreamRunner.Run(graph, origin);
        }
        catch
        {
            // A stream is not destroyed with its capture open.
            if (CudaDriver.StreamEndCapture(origin.StreamPtr, out nint partial) == CudaDriver.Success)
                _ = CudaDriver.GraphDestroy(partial);
            throw;
        }

        CudaDriver.Check(CudaDriver.StreamEndCapture(origin.StreamPtr, out nint captured), $"cuStreamEndCapture of {graph.Name}");
        int code = CudaDriver.GraphInstantiate(out nint instance, captured, 0);
        CudaDriver.Check(CudaDriver.GraphDestroy(captured), "cuGraphDestroy");
        CudaDriver.Check(code, $"cuGraphInstantiate of {graph.Name}");
        return instance;
    }
}
