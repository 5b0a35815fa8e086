using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>One accelerator with the streams that everything of a model runs on.</summary>
internal sealed class ComputeDevice : IDisposable
{
    /// <summary>Most threads that a CPU accelerator is opened with.</summary>
    public const int MaxCpuThreads = 256;

    private readonly Context context;

    private ComputeDevice(Context context, Accelerator accelerator, string? kernelCacheDirectory, bool recordsWarpKernels = false, int cpuThreads = 0, bool usesShares = true)
    {
        this.context = context;
        Accelerator = accelerator;
        Stream = accelerator.CreateStream();
        CopyStream = IsCuda ? accelerator.CreateStream() : Stream;
        Loader = new KernelLoader(accelerator, kernelCacheDirectory, cpuThreads)
        {
            RunsWarpKernels = IsCuda || recordsWarpKernels,
            UsesShares = usesShares && CpuVectors.AreSupported,
        };
    }

    public Accelerator Accelerator { get; }

    /// <summary>The one compute stream; ILGPU's default stream is CUDA's NULL stream, which cannot be captured.</summary>
    public AcceleratorStream Stream { get; }

    /// <summary>Copies of weights, beside the compute stream and ordered against it by events; the compute stream itself where there are none.</summary>
    public AcceleratorStream CopyStream { get; }

    public KernelLoader Loader { get; }

    /// <summary>A GPU's name; of the CPU the processor's, with the threads that kernels run on.</summary>
    public string Name => IsCpu
        ? $"{CpuTopology.ModelName() ?? "CPU"}, {Loader.Cpu.Count} {(Loader.Cpu.Count == 1 ? "thread" : "threads")}"
        : Accelerator.Name;

    public bool IsCpu => Accelerator.AcceleratorType == AcceleratorType.CPU;

    public bool IsCuda => Accelerator.AcceleratorType == AcceleratorType.Cuda;

    // An error of a kernel stays: the driver answers each later call with it.
    private bool HasFailed => IsCuda && CudaDriver.StreamQuery(((CudaStream)Stream).StreamPtr) is not (CudaDriver.Success or CudaDriver.NotReady);

    /// <summary>ILGPU's CPU accelerator.</summary>
    /// <param name="threads">Threads that kernels run on; 0: one for each physical core.</param>
    /// <param name="recordsWarpKernels">Record steps as a GPU runs them, to look at: they cannot run here.</param>
    /// <param name="usesShares">Run kernels as their shares, where the machine has the vectors for it.</param>
    public static ComputeDevice OpenCpu(int threads = 0, bool recordsWarpKernels = false, bool usesShares = true)
    {
        int count = threads == 0 ? Math.Min(CpuTopology.PhysicalCores(), MaxCpuThreads) : threads;

        // ILGPU's accelerator has two threads at least.
        Context context = Context.Create(b => b.CPU(new CPUDevice(Math.Max(count, 2), 1, 1)).EnableAlgorithms().Optimize(OptimizationLevel.O2));
        Intrinsics.Register(context);
        return new ComputeDevice(
            context, context.GetCPUDevice(0).CreateCPUAccelerator(context), kernelCacheDirectory: null, recordsWarpKernels, count, usesShares);
    }

    /// <summary>One CUDA device; its compiled kernels are kept in the given directory, or nowhere.</summary>
    /// <param name="ordinal">Its number in the driver's list.</param>
    /// <param name="kernelCacheDirectory">Directory of compiled kernels; null keeps none.</param>
    /// <exception cref="NotSupportedException">It cannot be used; the message says what the driver answered.</exception>
    public static ComputeDevice OpenCuda(int ordinal, string? kernelCacheDirectory)
    {
        if (CudaProbe.Run().RefusalOf(ordinal) is { } refusal)
            throw new NotSupportedException($"no CUDA device: {refusal}; --device cpu takes the CPU; see `qwen doctor`");
        Context context = Context.Create(b => b.Cuda().EnableAlgorithms().Optimize(OptimizationLevel.O2));
        Intrinsics.Register(context);
        try
        {
            foreach (CudaDevice device in context.GetCudaDevices())
            {
                if (device.DeviceId == ordinal)
                    return new ComputeDevice(context, device.CreateCudaAccelerator(context), kernelCacheDirectory);
            }

            throw new NotSupportedException(
                $"no CUDA device: the driver lists cuda:{ordinal}, ILGPU does not; devices that share a PCI address, as MIG slices do, count as one");
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>Opens the device that an option names.</summary>
    /// <param name="selection">The option.</param>
    /// <param name="measure">What the model takes of a device, asked where the CPU is to stand in for a GPU; null: it will fit.</param>
    /// <param name="notice">Told in one line that the CPU stands in, if it does.</param>
    /// <param name="kernelCacheDirectory">Directory of kernels compiled for CUDA; null keeps none.</param>
    /// <param name="cpuThreads">On the CPU, how many threads; 0: one for each physical core.</param>
    /// <param name="usesShares">On the CPU, run kernels as their shares.</param>
    public static ComputeDevice Open(
        DeviceSelection selection, Func<ComputeDevice, ModelFootprint>? measure, Action<string> notice, string? kernelCacheDirectory = null,
        int cpuThreads = 0, bool usesShares = true) => selection.Kind switch
    {
        DeviceKind.Cpu => OpenCpu(cpuThreads, usesShares: usesShares),
        DeviceKind.Cuda => OpenCuda(selection.Ordinal, kernelCacheDirectory),
        _ => OpenBest(measure, notice, kernelCacheDirectory, cpuThreads, usesShares),
    };

    /// <summary>Makes the device's context current on the calling thread, which driver calls need; costs nothing when it is.</summary>
    public void Bind() => Accelerator.Bind();

    public void Synchronize() => Stream.Synchronize();

    /// <summary>
    /// Disposes what lies on the device. One that has failed refuses every call, frees too: what it still holds goes with its context, and
    /// what is to be said of the failure has been said by whoever waited for it.
    /// </summary>
    public void Free(IDisposable owned)
    {
        try
        {
            owned.Dispose();
        }
        catch (Exception e) when (e is InvalidOperationException or CudaException && HasFailed)
        {
        }
    }

    public void Dispose()
    {
        Bind();
        if (CopyStream != Stream)
            Free(CopyStream);
        Free(Stream);
        Free(Loader);
        Free(Accelerator);
        Free(context);
    }

    private static ComputeDevice OpenBest(
        Func<ComputeDevice, ModelFootprint>? measure, Action<string> notice, string? kernelCacheDirectory, int cpuThreads, bool usesShares)
    {
        (int ordinal, string? refusal) = CudaProbe.Run().FirstUsable();
        if (refusal is null)
            return OpenCuda(ordinal, kernelCacheDirectory);
        ComputeDevice device = OpenCpu(cpuThreads, usesShares: usesShares);
        try
        {
            ModelFootprint? model = measure?.Invoke(device);
            if (model is { } known)
                CpuChoice.Require(refusal, known, AvailableMemory.Bytes());
            int threads = device.Loader.Cpu.Count;
            notice(CpuChoice.Notice(refusal, model, threads, () => StreamRead.MeasureBytesPerSecond(threads)));
            return device;
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }
}
