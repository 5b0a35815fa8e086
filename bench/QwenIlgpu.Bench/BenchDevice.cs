using System.Diagnostics;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>The accelerator that kernel benchmarks run on, and seeded operands in its memory.</summary>
internal sealed class BenchDevice : IDisposable
{
    private const long RotatedBytes = 512L << 20;

    private readonly Context context;

    public BenchDevice(string kind)
    {
        DriverLibraries.Register(typeof(BenchDevice).Assembly);
        context = Context.Create(b => (kind == "cuda" ? b.Cuda().Profiling() : b.CPU(new CPUDevice(2, 1, 1))).EnableAlgorithms().Optimize(OptimizationLevel.O2));
        Intrinsics.Register(context);

        // ILGPU offers its CPU accelerator when it finds no other device: that must not be measured as a GPU.
        if (kind == "cuda" && context.GetCudaDevices().Count == 0)
            throw new InvalidOperationException("no CUDA device on this machine; `qwen doctor` says why");
        Accelerator = kind == "cuda" ? context.GetCudaDevice(0).CreateCudaAccelerator(context) : context.GetCPUDevice(0).CreateCPUAccelerator(context);
        Stream = Accelerator.CreateStream();
        Loader = new KernelLoader(Accelerator);
    }

    public Accelerator Accelerator { get; }

    public AcceleratorStream Stream { get; }

    public KernelLoader Loader { get; }

    /// <summary>
    /// Copies besides the first of weights of so many bytes that a run from memory needs: on the CPU half a gigabyte in all, on a GPU none.
    /// </summary>
    public int FurtherCopies(long bytes) =>
        Accelerator.AcceleratorType == AcceleratorType.CPU ? (int)((RotatedBytes + bytes - 1) / bytes) - 1 : 0;

    public ArrayView<T> Upload<T>(T[] values)
        where T : unmanaged
    {
        ArrayView<T> view = Allocate<T>(values.Length);
        view.CopyFromCPU(Stream, values);
        Stream.Synchronize();
        return view;
    }

    public Matrix<T> Upload<T>(T[] values, int rows, int columns)
        where T : unmanaged => new(Upload(values), rows, columns);

    /// <summary>Every byte 0xFF: NaN in each float type.</summary>
    public ArrayView<T> Poisoned<T>(long length)
        where T : unmanaged
    {
        ArrayView<T> view = Allocate<T>(length);
        view.MemSet(Stream, 0xff);
        Stream.Synchronize();
        return view;
    }

    public Matrix<T> Poisoned<T>(int rows, int columns)
        where T : unmanaged => new(Poisoned<T>((long)rows * columns), rows, columns);

    public T[] Download<T>(ArrayView<T> view)
        where T : unmanaged
    {
        var values = new T[view.Length];
        view.CopyToCPU(Stream, values);
        Stream.Synchronize();
        return values;
    }

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

    /// <summary>Uniform in [−scale, scale).</summary>
    public static float[] RandomFloats(int seed, long length, float scale = 1)
    {
        var random = new Random(seed);
        var values = new float[length];
        for (int i = 0; i < values.Length; i++)
            values[i] = ((random.NextSingle() * 2) - 1) * scale;
        return values;
    }

    /// <summary>max |actual − expected| / max |expected|; NaN counts as infinite.</summary>
    public static double RelativeError(float[] actual, double[] expected)
    {
        double worst = 0;
        double scale = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            double difference = Math.Abs(actual[i] - expected[i]);
            worst = double.IsNaN(difference) ? double.PositiveInfinity : Math.Max(worst, difference);
            scale = Math.Max(scale, Math.Abs(expected[i]));
        }

        return worst / scale;
    }

    public void Dispose()
    {
        Stream.Dispose();
        Loader.Dispose();
        Accelerator.Dispose();
        context.Dispose();
    }

    /// <summary>Memory that nobody has written.</summary>
    public ArrayView<T> Allocate<T>(long length)
        where T : unmanaged => Accelerator.Allocate1D<T>(length).View.AsContiguous();
}
