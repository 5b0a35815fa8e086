using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using QwenIlgpu.PtxMachine;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// An accelerator with seeded or poisoned buffers. <see cref="Shared"/> is the one that the kernel tests run on: ILGPU's CPU
/// accelerator, or the first CUDA device with <c>--test-parameter device=cuda</c>. One for the whole run; tests are serial.
/// </summary>
internal sealed class TestDevice : IDisposable
{
    private static readonly Lazy<TestDevice> SharedDevice = new(() => Create(Kind));

    private readonly Context context;
    private readonly KernelLoader plain;
    private readonly KernelLoader sharing;
    private readonly Lazy<KernelLoader> portable;
    private readonly List<MemoryBuffer> buffers = [];
    private KernelLoader? chosen;

    /// <summary>Takes the context over; its intrinsics are registered here, before the accelerator is made.</summary>
    public TestDevice(Context context, Func<Context, Accelerator> create)
    {
        this.context = context;
        Kernels.Intrinsics.Register(context);
        Accelerator = create(context);
        Stream = Accelerator.CreateStream();
        plain = new KernelLoader(Accelerator) { UsesShares = false };
        sharing = new KernelLoader(Accelerator);
        portable = new(() => new KernelLoader(Accelerator) { RunsWarpKernels = false, UsesShares = false });
    }

    /// <summary>cpu or cuda.</summary>
    public static string Kind => TestContext.Parameters.Get("device", "cpu");

    public static TestDevice Shared => SharedDevice.Value;

    public static void DisposeShared()
    {
        if (SharedDevice.IsValueCreated)
            SharedDevice.Value.Dispose();
    }

    public Accelerator Accelerator { get; }

    public AcceleratorStream Stream { get; }

    /// <summary>Whether this is the PTX machine, which knows what nobody has written.</summary>
    public bool IsMachine { get; init; }

    /// <summary>Whether kernels bound from now on run as their shares, where they have one.</summary>
    public bool UsesShares { get; set; }

    /// <summary>Whether ops bind their portable kernels from now on, even where the device has warps.</summary>
    public bool RunsPortableKernels { get; set; }

    public KernelLoader Loader => chosen ?? (RunsPortableKernels ? portable.Value : UsesShares ? sharing : plain);

    /// <summary>Acts with another loader of this accelerator.</summary>
    public void With(KernelLoader loader, Action act)
    {
        chosen = loader;
        try
        {
            act();
        }
        finally
        {
            chosen = null;
        }
    }

    public ArrayView<T> Upload<T>(params T[] values)
        where T : unmanaged
    {
        ArrayView<T> view = Allocate<T>(values.Length);
        view.CopyFromCPU(Stream, values);
        Stream.Synchronize();
        return view;
    }

    public Matrix<T> Upload<T>(T[] values, int rows, int columns)
        where T : unmanaged => new(Upload(values), rows, columns);

    /// <summary>Memory that nobody has written, for operands too large to fill.</summary>
    public ArrayView<T> Uninitialised<T>(long length)
        where T : unmanaged => Allocate<T>(length);

    /// <summary>
    /// An output: every byte 0xFF, which is NaN in each float type and −1 in each integer type. The machine's memory is that when it is
    /// fresh, and then a kernel that reads it is found out.
    /// </summary>
    public ArrayView<T> Poisoned<T>(long length)
        where T : unmanaged
    {
        ArrayView<T> view = Allocate<T>(length);
        if (IsMachine)
            return view;
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

    public T[] Download<T>(Matrix<T> matrix)
        where T : unmanaged => Download(matrix.Data);

    /// <exception cref="AssertionException">On the machine: what a launch broke.</exception>
    public void Run(params Launch[] launches) => Run(null, launches);

    /// <exception cref="AssertionException">On the machine: what a launch broke.</exception>
    public void Run(MachineSchedule? schedule, params Launch[] launches)
    {
        try
        {
            if (IsMachine)
                MachineDevice.Run(schedule, RunAll);
            else
                RunAll();
        }
        catch (InvalidOperationException e) when (IsMachine)
        {
            throw new AssertionException(MachineDriver.LastFault?.Message ?? $"{e.Message}\n{MachineDriver.LastFailure}", e);
        }

        void RunAll()
        {
            foreach (Launch launch in launches)
                launch.Run(Stream);
            Stream.Synchronize();
        }
    }

    /// <summary>Runs a kernel of groups.</summary>
    public void Run<TKernel>(Action<TKernel> entry, KernelConfig grid, TKernel kernel)
        where TKernel : struct, IGroupKernel => Run(Loader.Bind(entry, grid, kernel));

    /// <summary>Frees the buffers of the test that just ran.</summary>
    public void Release()
    {
        buffers.ForEach(b => b.Dispose());
        buffers.Clear();
    }

    public void Dispose()
    {
        Release();
        Stream.Dispose();
        plain.Dispose();
        sharing.Dispose();
        if (portable.IsValueCreated)
            portable.Value.Dispose();
        Accelerator.Dispose();
        context.Dispose();
    }

    // ILGPU offers its CPU accelerator when it finds no other device: a test device of the wrong kind must not pass unnoticed.
    private static TestDevice Create(string kind)
    {
        if (kind is not ("cpu" or "cuda"))
            throw new InvalidOperationException($"test device '{kind}' is neither cpu nor cuda");
        DriverLibraries.Register(typeof(TestDevice).Assembly);
        Context context = Context.Create(
            b => (kind == "cuda" ? b.Cuda() : b.CPU(new CPUDevice(2, 1, 1))).EnableAlgorithms().Optimize(OptimizationLevel.O2));
        if (kind == "cuda" && context.GetCudaDevices().Count == 0)
            throw new InvalidOperationException("test device 'cuda' is not there: ILGPU finds no CUDA device");
        return new TestDevice(
            context, c => kind == "cuda" ? c.GetCudaDevice(0).CreateCudaAccelerator(c) : c.GetCPUDevice(0).CreateCPUAccelerator(c));
    }

    private ArrayView<T> Allocate<T>(long length)
        where T : unmanaged
    {
        MemoryBuffer1D<T, Stride1D.Dense> buffer = Accelerator.Allocate1D<T>(Math.Max(length, 1));
        buffers.Add(buffer);
        return buffer.View.AsContiguous().SubView(0, length);
    }
}
