using System.Diagnostics;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>The accelerator that kernel benchmarks run on.</summary>
internal sealed class BenchDevice : KernelDevice
{
    private const long RotatedBytes = 512L << 20;

    public BenchDevice(string kind)
        : base(kind) => Loader = new KernelLoader(Accelerator);

    public KernelLoader Loader { get; }

    /// <summary>
    /// Copies besides the first of weights of so many bytes that a run from memory needs: on the CPU half a gigabyte in all, on a GPU none.
    /// </summary>
    public int FurtherCopies(long bytes) =>
        Accelerator.AcceleratorType == AcceleratorType.CPU ? (int)((RotatedBytes + bytes - 1) / bytes) - 1 : 0;

    /// <summary>Time of a kernel: between events around it on CUDA, until it has ended elsewhere.</summary>
    public double TimeMicroseconds(PreparedKernel kernel)
    {
        if (Accelerator.AcceleratorType == AcceleratorType.Cuda)
        {
            using ProfilingMarker begin = Stream.AddProfilingMarker();
            kernel.Run(Stream);
            using ProfilingMarker end = Stream.AddProfilingMarker();
            end.Synchronize();
            return end.MeasureFrom(begin).TotalMicroseconds;
        }

        long start = Stopwatch.GetTimestamp();
        kernel.Run(Stream);
        Stream.Synchronize();
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds;
    }

    public override void Dispose()
    {
        Loader.Dispose();
        base.Dispose();
    }
}
