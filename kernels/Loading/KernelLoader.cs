using System.Reflection;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Compiles each kernel once for one accelerator and binds operands to it. CUDA devices go a way of our own, through PTX that is
/// rewritten and cached in a directory (null: nowhere); the others go ILGPU's.
/// </summary>
internal sealed class KernelLoader(Accelerator accelerator, string? ptxCacheDirectory = null) : IDisposable
{
    private readonly Lock gate = new();
    private readonly Dictionary<MethodInfo, Delegate> loaded = [];
    private readonly CudaKernels? cuda =
        accelerator is CudaAccelerator device ? new CudaKernels(device, KernelDriver.Load(), new PtxCache(ptxCacheDirectory)) : null;

    public Accelerator Accelerator { get; } = accelerator;

    /// <summary>
    /// Whether kernels of warps and tensor cores are chosen where there are any: on CUDA; elsewhere they are emulated, which is for tests.
    /// </summary>
    public bool RunsWarpKernels { get; init; } = accelerator is CudaAccelerator;

    /// <summary>Lets kernels that wait for their predecessor themselves start while it still runs.</summary>
    public bool OverlapsLaunches { get; init; }

    /// <summary>What the driver says of every kernel loaded so far; empty but on CUDA.</summary>
    public IReadOnlyList<LoadedKernel> Loaded
    {
        get
        {
            lock (gate)
                return [.. cuda?.Loaded ?? []];
        }
    }

    /// <summary>Binds operands to a portable kernel. The entry is the kernel's static method, named after the op.</summary>
    public Launch Bind<TKernel>(Action<Index1D, int, TKernel> entry, TKernel kernel)
        where TKernel : struct, IPortableKernel
    {
        if (cuda is not null)
        {
            return BindCuda(
                entry.Method, function => LaunchShape.OfItems(kernel.Items, function.Entry.GroupThreads),
                new Index1D(kernel.Items), kernel.Items, kernel);
        }

        var launch = (Action<AcceleratorStream, Index1D, int, TKernel>)Load(entry.Method, () => Accelerator.LoadAutoGroupedKernel(entry));
        int threads = Accelerator.AcceleratorType == AcceleratorType.CPU
            ? Math.Min(kernel.Items, Accelerator.MaxNumThreads)
            : kernel.Items;
        return new Launch(entry.Method.Name, threads, stream => launch(stream, threads, threads, kernel));
    }

    /// <summary>
    /// Binds operands to a kernel of groups: <paramref name="config"/> is the grid, the group and its dynamic shared memory.
    /// </summary>
    public Launch Bind<TKernel>(Action<TKernel> entry, KernelConfig config, TKernel kernel)
        where TKernel : struct, IGroupKernel
    {
        if (cuda is not null)
            return BindCuda(entry.Method, _ => LaunchShape.Of(config), kernel);
        var launch = (Action<AcceleratorStream, KernelConfig, TKernel>)Load(entry.Method, () => Accelerator.LoadKernel(entry));
        return new Launch(entry.Method.Name, LaunchShape.Of(config).IsEmpty ? 0 : 1, stream => launch(stream, config, kernel));
    }

    public void Dispose()
    {
        lock (gate)
            cuda?.Dispose();
    }

    private Launch BindCuda(MethodInfo entry, Func<CudaFunction, LaunchShape> shapeOf, params object[] operands)
    {
        lock (gate)
        {
            CudaFunction function = cuda!.Load(entry);
            LaunchShape shape = shapeOf(function);
            CudaLaunch launch = function.Bind(shape, OverlapsLaunches, operands);
            return new Launch(entry.Name, shape.IsEmpty ? 0 : 1, launch.Run);
        }
    }

    private Delegate Load(MethodInfo entry, Func<Delegate> load)
    {
        lock (gate)
        {
            if (!loaded.TryGetValue(entry, out Delegate? launcher))
            {
                launcher = load();
                loaded.Add(entry, launcher);
            }

            return launcher;
        }
    }
}
