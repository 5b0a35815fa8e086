using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using QwenIlgpu.PtxMachine;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// A device of the kernel tests, with the loaders of its tiers. <see cref="Shared"/> is the one that most of them run on: ILGPU's CPU
/// accelerator, or the first CUDA device with <c>--test-parameter device=cuda</c>. One for the whole run; tests are serial.
/// </summary>
internal sealed class TestDevice : KernelDevice
{
    private static readonly Lazy<TestDevice> SharedDevice = new(() => new TestDevice(Kind));

    private readonly KernelLoader plain;
    private readonly KernelLoader sharing;
    private readonly Lazy<KernelLoader> portable;
    private KernelLoader? chosen;

    public TestDevice(Context context, Func<Context, Accelerator> create)
        : base(context, create) => (plain, sharing, portable) = Loaders();

    private TestDevice(string kind)
        : base(kind) => (plain, sharing, portable) = Loaders();

    /// <summary>cpu or cuda.</summary>
    public static string Kind => TestContext.Parameters.Get("device", "cpu");

    public static TestDevice Shared => SharedDevice.Value;

    public static void DisposeShared()
    {
        if (SharedDevice.IsValueCreated)
            SharedDevice.Value.Dispose();
    }

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

    /// <summary>Acts while launches are bound for so few multiprocessors that groups take several units of work each; 0: for all.</summary>
    public T On<T>(int multiprocessors, Func<T> act)
    {
        int usual = Loader.Multiprocessors;
        Loader.Multiprocessors = multiprocessors == 0 ? usual : multiprocessors;
        try
        {
            return act();
        }
        finally
        {
            Loader.Multiprocessors = usual;
        }
    }

    /// <summary>Poisoned without a store on the machine, whose fresh memory is that: a kernel that reads it is found out.</summary>
    public override ArrayView<T> Poisoned<T>(long length) => IsMachine ? Uninitialised<T>(length) : base.Poisoned<T>(length);

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
            {
                launch.Run(Stream);
                Log?.Launched(TestName, launch.Name);
            }

            Stream.Synchronize();
        }
    }

    /// <summary>Runs a kernel of groups.</summary>
    public void Run<TKernel>(Action<TKernel> entry, KernelConfig grid, TKernel kernel)
        where TKernel : struct, IGroupKernel => Run(Loader.Bind(entry, grid, kernel));

    protected override void Downloaded<T>(T[] values) => Log?.Left(TestName, values, MachineDevice.RoundsAsHardware);

    // Of devices that run PTX.
    private OutputLog? Log => IsMachine || Accelerator is CudaAccelerator ? OutputLog.Current : null;

    // The same on the machine and on a GPU.
    private static string TestName => TestContext.CurrentContext.Test.FullName.Replace("\"machine\"", "\"cuda\"", StringComparison.Ordinal);

    public override void Dispose()
    {
        plain.Dispose();
        sharing.Dispose();
        if (portable.IsValueCreated)
            portable.Value.Dispose();
        base.Dispose();
    }

    private (KernelLoader Plain, KernelLoader Sharing, Lazy<KernelLoader> Portable) Loaders() => (
        new(Accelerator) { UsesShares = false },
        new(Accelerator),
        new(() => new KernelLoader(Accelerator) { RunsWarpKernels = false, UsesShares = false }));
}
