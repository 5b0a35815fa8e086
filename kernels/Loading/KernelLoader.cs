using System.Reflection;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Compiles each kernel once for one accelerator and binds operands to it. CUDA devices go a way of our own, through PTX that is
/// rewritten and cached in a directory (null: nowhere); the others go ILGPU's. On the CPU portable kernels are C# that its threads call,
/// as many of them as given (0: all that the accelerator has).
/// </summary>
internal sealed class KernelLoader(Accelerator accelerator, string? ptxCacheDirectory = null, int cpuThreads = 0) : IDisposable
{
    private readonly Lock gate = new();
    private readonly Dictionary<MethodInfo, Delegate> loaded = [];
    private readonly CudaKernels? cuda =
        accelerator is CudaAccelerator device ? new CudaKernels(device, KernelDriver.Load(), new PtxCache(ptxCacheDirectory)) : null;

    private readonly CpuThreads? cpu = accelerator.AcceleratorType == AcceleratorType.CPU
        ? new CpuThreads(accelerator, cpuThreads == 0 ? accelerator.MaxNumThreads : cpuThreads)
        : null;

    public Accelerator Accelerator { get; } = accelerator;

    /// <summary>The threads of a CPU accelerator.</summary>
    /// <exception cref="InvalidOperationException">The accelerator is another.</exception>
    public CpuThreads Cpu => cpu ?? throw new InvalidOperationException($"a {Accelerator.AcceleratorType} accelerator has no CPU threads");

    /// <summary>On the CPU, whether kernels run as their shares where they have one; if not, as their plain loops.</summary>
    public bool UsesShares { get; init; } = CpuVectors.AreSupported;

    /// <summary>
    /// Whether kernels of warps and tensor cores are chosen where there are any: on CUDA; elsewhere steps are recorded with them to be looked at.
    /// </summary>
    public bool RunsWarpKernels { get; init; } = accelerator is CudaAccelerator;

    /// <summary>
    /// Multiprocessors among which launches of groups that take several units of work share them out: the device's, or fewer to leave some
    /// to others.
    /// </summary>
    public int Multiprocessors { get; set; } = accelerator.NumMultiprocessors;

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

    /// <summary>
    /// Binds operands to a portable kernel. The entry is the kernel's static method, named after the op. Where shares run, a given one does
    /// instead of the kernel's own.
    /// </summary>
    public Launch Bind<TKernel>(Action<Index1D, int, TKernel> entry, TKernel kernel, Action<int, int>? otherShare = null)
        where TKernel : struct, IPortableKernel
    {
        if (cuda is not null)
        {
            return BindCuda(
                entry.Method, function => LaunchShape.OfItems(kernel.Items, function.Entry.GroupThreads),
                new Index1D(kernel.Items), kernel.Items, kernel);
        }

        int items = kernel.Items;
        if (cpu is not null)
        {
            Action<int, int> part = UsesShares && kernel is ICpuShare { TakesShape: true } share
                ? otherShare ?? share.Share
                : (thread, threads) => entry(thread, threads, kernel);
            CpuSequence sequence = CpuSequence.Of(part);
            return new Launch(entry.Method.Name, items, stream => cpu.Run(stream, sequence)) { CpuPart = part };
        }

        var launch = (Action<AcceleratorStream, Index1D, int, TKernel>)Load(entry.Method, () => Accelerator.LoadAutoGroupedKernel(entry));
        return new Launch(entry.Method.Name, items, stream => launch(stream, items, items, kernel));
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
        {
            cuda?.Dispose();
            cpu?.Dispose();
        }
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
