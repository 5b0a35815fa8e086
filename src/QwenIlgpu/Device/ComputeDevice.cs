using System.Reflection;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>One accelerator with the streams that everything of a model runs on.</summary>
internal sealed class ComputeDevice : IDisposable
{
    /// <summary>Largest checkpoint that <see cref="DeviceSelection.Auto"/> runs on the CPU accelerator.</summary>
    public const long LargestCpuModelBytes = 500_000_000;

    // More threads than this gain little in the portable kernels and cost launch time each.
    private const int MaxCpuThreads = 16;

    private readonly Context context;

    private ComputeDevice(Context context, Accelerator accelerator, string? kernelCacheDirectory, bool emulateWarps = false)
    {
        this.context = context;
        Accelerator = accelerator;
        Stream = accelerator.CreateStream();
        CopyStream = IsCuda ? accelerator.CreateStream() : Stream;
        Loader = new KernelLoader(accelerator, kernelCacheDirectory) { RunsWarpKernels = IsCuda || emulateWarps };
    }

    public Accelerator Accelerator { get; }

    /// <summary>The one compute stream; ILGPU's default stream is CUDA's NULL stream, which cannot be captured.</summary>
    public AcceleratorStream Stream { get; }

    /// <summary>Copies of weights, beside the compute stream and ordered against it by events; the compute stream itself where there are none.</summary>
    public AcceleratorStream CopyStream { get; }

    public KernelLoader Loader { get; }

    public bool IsCpu => Accelerator.AcceleratorType == AcceleratorType.CPU;

    public bool IsCuda => Accelerator.AcceleratorType == AcceleratorType.Cuda;

    /// <summary>ILGPU's CPU accelerator with one thread per core.</summary>
    /// <param name="recordsWarpKernels">Record steps as a GPU runs them, to look at: they cannot run here.</param>
    public static ComputeDevice OpenCpu(bool recordsWarpKernels = false)
    {
        int threads = Math.Clamp(Environment.ProcessorCount, 2, MaxCpuThreads);
        Context context = Context.Create(b => b.CPU(new CPUDevice(threads, 1, 1)).EnableAlgorithms().Optimize(OptimizationLevel.O2));
        Intrinsics.Register(context);
        return new ComputeDevice(context, context.GetCPUDevice(0).CreateCPUAccelerator(context), kernelCacheDirectory: null, recordsWarpKernels);
    }

    /// <summary>One CUDA device; its compiled kernels are kept in the given directory, or nowhere.</summary>
    /// <param name="ordinal">Its number in the driver's list.</param>
    /// <param name="kernelCacheDirectory">Directory of compiled kernels; null keeps none.</param>
    /// <exception cref="NotSupportedException">It cannot be used; the message says what the driver answered.</exception>
    public static ComputeDevice OpenCuda(int ordinal, string? kernelCacheDirectory)
    {
        if (CudaProbe.Run().RefusalOf(ordinal) is { } refusal)
            throw new NotSupportedException($"no CUDA device: {refusal}; use --device cpu for a small model, or see `qwen doctor`");
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

    /// <summary>The first OpenCL device: experimental. It runs the portable kernels, or those of warps too, emulated.</summary>
    /// <exception cref="NotSupportedException">There is none.</exception>
    public static ComputeDevice OpenOpenCl(bool emulateWarps = false)
    {
        DriverLibraries.Register(typeof(ComputeDevice).Assembly);
        Context context = Context.Create(b => b.OpenCL(_ => true).EnableAlgorithms().Optimize(OptimizationLevel.O2));
        Intrinsics.Register(context);
        try
        {
            if (context.GetCLDevices().Count == 0)
                throw new NotSupportedException("no OpenCL device: is libOpenCL.so.1 installed, and a driver for it, such as pocl-opencl-icd?");
            CLDevice device = context.GetCLDevice(0);

            // PoCL does not announce a generic address space, which ILGPU asks for. Kernels whose address spaces ILGPU infers need none.
            PropertyInfo property = device.Capabilities.GetType().GetProperty("GenericAddressSpace")!;
            property.GetSetMethod(nonPublic: true)!.Invoke(device.Capabilities, [true]);
            return new ComputeDevice(context, device.CreateCLAccelerator(context), kernelCacheDirectory: null, emulateWarps);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>Opens the device that an option names, for a model of the given size.</summary>
    public static ComputeDevice Open(
        DeviceSelection selection, long modelBytes, Action<string> notice, string? kernelCacheDirectory = null, bool emulateWarps = false) =>
        selection.Kind switch
    {
        DeviceKind.Cpu => OpenCpu(),
        DeviceKind.Cuda => OpenCuda(selection.Ordinal, kernelCacheDirectory),
        DeviceKind.OpenCl => OpenOpenCl(emulateWarps),
        _ => OpenBest(modelBytes, notice, kernelCacheDirectory),
    };

    /// <summary>Makes the device's context current on the calling thread, which driver calls need; costs nothing when it is.</summary>
    public void Bind() => Accelerator.Bind();

    public void Synchronize() => Stream.Synchronize();

    public void Dispose()
    {
        Bind();
        if (CopyStream != Stream)
            CopyStream.Dispose();
        Stream.Dispose();
        Loader.Dispose();
        Accelerator.Dispose();
        context.Dispose();
    }

    private static ComputeDevice OpenBest(long modelBytes, Action<string> notice, string? kernelCacheDirectory)
    {
        (int ordinal, string? refusal) = CudaProbe.Run().FirstUsable();
        if (refusal is null)
            return OpenCuda(ordinal, kernelCacheDirectory);
        if (modelBytes > LargestCpuModelBytes)
        {
            throw new NotSupportedException(
                $"no CUDA device: {refusal}; the model holds {modelBytes / 1_000_000} MB, and above {LargestCpuModelBytes / 1_000_000} MB " +
                "the CPU accelerator is taken only when asked for: --device cpu");
        }

        notice($"no CUDA device ({refusal}); running on ILGPU's CPU accelerator, which is meant for tests and debugging");
        return OpenCpu();
    }
}
