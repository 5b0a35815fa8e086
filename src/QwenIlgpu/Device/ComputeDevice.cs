using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>One accelerator with the stream that everything of a model runs on.</summary>
internal sealed class ComputeDevice : IDisposable
{
    /// <summary>Largest checkpoint that <see cref="DeviceChoice.Auto"/> runs on the CPU accelerator.</summary>
    public const long LargestCpuModelBytes = 500_000_000;

    // More threads than this gain little in the portable kernels and cost launch time each.
    private const int MaxCpuThreads = 16;

    private readonly Context context;

    private ComputeDevice(Context context, Accelerator accelerator, string? kernelCacheDirectory)
    {
        this.context = context;
        Accelerator = accelerator;
        Stream = accelerator.CreateStream();
        Loader = new KernelLoader(accelerator, kernelCacheDirectory);
    }

    public Accelerator Accelerator { get; }

    /// <summary>The one compute stream; ILGPU's default stream is CUDA's NULL stream, which cannot be captured.</summary>
    public AcceleratorStream Stream { get; }

    public KernelLoader Loader { get; }

    public bool IsCpu => Accelerator.AcceleratorType == AcceleratorType.CPU;

    /// <summary>ILGPU's CPU accelerator with one thread per core.</summary>
    public static ComputeDevice OpenCpu()
    {
        int threads = Math.Clamp(Environment.ProcessorCount, 2, MaxCpuThreads);
        Context context = Context.Create(b => b.CPU(new CPUDevice(threads, 1, 1)).EnableAlgorithms().Optimize(OptimizationLevel.O2));
        return new ComputeDevice(context, context.GetCPUDevice(0).CreateCPUAccelerator(context), kernelCacheDirectory: null);
    }

    /// <summary>The first CUDA device; its compiled kernels are kept in the given directory, or nowhere.</summary>
    /// <exception cref="NotSupportedException">There is none; the message says what the driver answered.</exception>
    public static ComputeDevice OpenCuda(string? kernelCacheDirectory)
    {
        CudaProbe probe = CudaProbe.Run();
        if (probe.Refusal is { } refusal)
            throw new NotSupportedException($"no CUDA device: {refusal}; use --device cpu for a small model, or see `qwen doctor`");
        Context context = Context.Create(b => b.Cuda().EnableAlgorithms().Optimize(OptimizationLevel.O2));
        try
        {
            return new ComputeDevice(context, context.GetCudaDevice(0).CreateCudaAccelerator(context), kernelCacheDirectory);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>Opens the device that an option names, for a model of the given size.</summary>
    public static ComputeDevice Open(
        DeviceChoice choice, long modelBytes, Action<string> notice, string? kernelCacheDirectory = null) => choice switch
    {
        DeviceChoice.Cpu => OpenCpu(),
        DeviceChoice.Cuda => OpenCuda(kernelCacheDirectory),
        DeviceChoice.Auto => OpenBest(modelBytes, notice, kernelCacheDirectory),
        _ => throw new ArgumentOutOfRangeException(nameof(choice), choice, "device must be Auto, Cpu or Cuda"),
    };

    public void Synchronize() => Stream.Synchronize();

    public void Dispose()
    {
        Stream.Dispose();
        Loader.Dispose();
        Accelerator.Dispose();
        context.Dispose();
    }

    private static ComputeDevice OpenBest(long modelBytes, Action<string> notice, string? kernelCacheDirectory)
    {
        CudaProbe probe = CudaProbe.Run();
        if (probe.Refusal is null)
            return OpenCuda(kernelCacheDirectory);
        if (modelBytes > LargestCpuModelBytes)
        {
            throw new NotSupportedException(
                $"no CUDA device: {probe.Refusal}; the model holds {modelBytes / 1_000_000} MB, and above {LargestCpuModelBytes / 1_000_000} MB " +
                "the CPU accelerator is taken only when asked for: --device cpu");
        }

        notice($"no CUDA device ({probe.Refusal}); running on ILGPU's CPU accelerator, which is meant for tests and debugging");
        return OpenCpu();
    }
}
