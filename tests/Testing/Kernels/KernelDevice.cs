using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Testing;

/// <summary>An accelerator for kernels by themselves, with seeded or poisoned operands in its memory until <see cref="Release"/>.</summary>
internal class KernelDevice : IDisposable
{
    private readonly Context context;
    private readonly List<MemoryBuffer> buffers = [];

    /// <summary>ILGPU's CPU accelerator, or the first CUDA device.</summary>
    /// <exception cref="InvalidOperationException">The kind is neither cpu nor cuda, or there is no CUDA device.</exception>
    public KernelDevice(string kind)
        : this(ContextOf(kind), c => kind == "cuda" ? c.GetCudaDevice(0).CreateCudaAccelerator(c) : c.GetCPUDevice(0).CreateCPUAccelerator(c))
    {
    }

    /// <summary>Takes the context over; its intrinsics are registered here, before the accelerator is made.</summary>
    public KernelDevice(Context context, Func<Context, Accelerator> create)
    {
        this.context = context;
        Intrinsics.Register(context);
        Accelerator = create(context);
        Stream = Accelerator.CreateStream();
    }

    public Accelerator Accelerator { get; }

    public AcceleratorStream Stream { get; }

    public ArrayView<T> Upload<T>(params T[] values)
        where T : unmanaged
    {
        ArrayView<T> view = Uninitialised<T>(values.Length);
        view.CopyFromCPU(Stream, values);
        Stream.Synchronize();
        return view;
    }

    public Matrix<T> Upload<T>(T[] values, int rows, int columns)
        where T : unmanaged => new(Upload(values), rows, columns);

    /// <summary>Memory that nobody has written, for operands too large to fill.</summary>
    public ArrayView<T> Uninitialised<T>(long length)
        where T : unmanaged
    {
        MemoryBuffer1D<T, Stride1D.Dense> buffer = Accelerator.Allocate1D<T>(Math.Max(length, 1));
        buffers.Add(buffer);
        return buffer.View.AsContiguous().SubView(0, length);
    }

    /// <summary>An output: every byte 0xFF, which is NaN in each float type and −1 in each integer type.</summary>
    public virtual ArrayView<T> Poisoned<T>(long length)
        where T : unmanaged
    {
        ArrayView<T> view = Uninitialised<T>(length);
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
        Downloaded(values);
        return values;
    }

    public T[] Download<T>(Matrix<T> matrix)
        where T : unmanaged => Download(matrix.Data);

    /// <summary>Frees the operands.</summary>
    public void Release()
    {
        buffers.ForEach(b => b.Dispose());
        buffers.Clear();
    }

    public virtual void Dispose()
    {
        Release();
        Stream.Dispose();
        Accelerator.Dispose();
        context.Dispose();
    }

    /// <summary>What has just been read back.</summary>
    protected virtual void Downloaded<T>(T[] values)
        where T : unmanaged
    {
    }

    // ILGPU offers its CPU accelerator when it finds no other device: one of the wrong kind must not pass unnoticed.
    private static Context ContextOf(string kind)
    {
        if (kind is not ("cpu" or "cuda"))
            throw new InvalidOperationException($"device '{kind}' is neither cpu nor cuda");
        DriverLibraries.Register(typeof(KernelDevice).Assembly);
        Context context = Context.Create(
            b => (kind == "cuda" ? b.Cuda().Profiling() : b.CPU(new CPUDevice(2, 1, 1))).EnableAlgorithms().Optimize(OptimizationLevel.O2));
        if (kind == "cuda" && context.GetCudaDevices().Count == 0)
            throw new InvalidOperationException("ILGPU finds no CUDA device; `qwen doctor` says why");
        return context;
    }
}
