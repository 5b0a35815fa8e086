using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A CUDA kernel with its operands packed once, in pinned memory: a run is one driver call and allocates nothing.
/// </summary>
internal sealed unsafe class CudaLaunch
{
    private readonly KernelDriver driver;
    private readonly CudaFunction function;
    private readonly LaunchShape shape;
    private readonly bool overlapsPredecessor;
    private readonly byte[] arguments;
    private readonly byte* argumentStart;

    // The views inside hold their buffers, which the packed addresses do not.
    private readonly object[] operands;

    public CudaLaunch(
        KernelDriver driver, CudaFunction function, LaunchShape shape, bool overlapsPredecessor, byte[] pinnedArguments, object[] operands)
    {
        this.driver = driver;
        this.function = function;
        this.shape = shape;
        this.overlapsPredecessor = overlapsPredecessor;
        this.operands = operands;
        arguments = pinnedArguments;
        argumentStart = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(pinnedArguments));
    }

    /// <summary>The parameter buffer of every run.</summary>
    public ReadOnlySpan<byte> Arguments => arguments;

    public void Run(AcceleratorStream stream)
    {
        stream.Accelerator.Bind();
        Run(((CudaStream)stream).StreamPtr);
    }

    /// <summary>Launches on the driver's stream in the current context.</summary>
    public void Run(nint stream)
    {
        int code = driver.Launch(function.Handle, shape, argumentStart, arguments.Length, overlapsPredecessor, stream);
        if (code != 0)
            driver.Check(function.Entry.ToString(), $"launch with {shape}", code);
        GC.KeepAlive(operands);
    }
}
