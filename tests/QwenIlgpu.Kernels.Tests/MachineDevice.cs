using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using QwenIlgpu.PtxMachine;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// The PTX machine behind ILGPU's CUDA accelerator: kernels run as a driver would get them, and what they may not do fails the test. One
/// for the whole run.
/// </summary>
internal static partial class MachineDevice
{
    private static readonly Machine Machine = new(new MachineOptions { Declared = MachineDeclarations.All });
    private static readonly Lazy<TestDevice> SharedDevice = new(Open);
    private static readonly HashSet<string> Rounding = [];

    /// <summary>The device; where its driver is not made for the system, the test that asks is skipped.</summary>
    public static TestDevice Shared
    {
        get
        {
            if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
                Assert.Ignore("the PTX machine's driver is made for x64 Linux");
            return SharedDevice.Value;
        }
    }

    /// <summary>The rules that a run breaks when the text of every kernel that it loads is edited before; none where it breaks none.</summary>
    public static IReadOnlyList<Fault> FaultsOf(Action run, Func<string, string>? edit = null, params Declaration[] declared)
    {
        try
        {
            With(o => o with { Declared = declared }, () => Edited(edit, run));
            return [];
        }
        catch (AssertionException) when (MachineDriver.LastFault is not null)
        {
            return MachineDriver.LastFault.Faults;
        }
    }

    /// <summary>Runs something whose kernels' text is edited before they are loaded.</summary>
    public static void Edited(Func<string, string>? edit, Action run)
    {
        MachineDriver.Edit = edit;
        try
        {
            using var fresh = new KernelLoader(Shared.Accelerator);
            Shared.With(fresh, run);
        }
        finally
        {
            MachineDriver.Edit = null;
        }
    }

    /// <summary>Runs launches under a schedule, or that of the test that runs.</summary>
    public static void Run(MachineSchedule? schedule, Action run) => With((schedule ?? MachineSchedule.Current)?.Change ?? (o => o), run);

    /// <summary>Acts under another schedule, every launch counted where somebody wants to know what it did.</summary>
    public static void Schedule(int seed, Action<string, LaunchCounts>? counted, Action act)
    {
        Machine.Counted += counted;
        try
        {
            With(o => o with { Seed = seed, Counts = counted is not null }, act);
        }
        finally
        {
            Machine.Counted -= counted;
        }
    }

    /// <summary>Acts while every launch is told, and then what it did, with the turns of its warps.</summary>
    public static T Watched<T>(Func<PtxKernel, PtxKernel> launched, Action<LaunchCounts, long> counted, Func<T> act)
    {
        _ = Shared;
        Machine.Counted += Tell;
        try
        {
            return Instead(launched, o => o with { Counts = true, Threads = 1 }, act);
        }
        finally
        {
            Machine.Counted -= Tell;
        }

        void Tell(string kernel, LaunchCounts counts) => counted(counts, Machine.Turns);
    }

    /// <summary>
    /// Acts while other kernels run where one is launched, for so many turns at most, and each time alike: on one thread of the host.
    /// </summary>
    public static T Instead<T>(Func<PtxKernel, PtxKernel> choose, long mostTurns, Func<T> act) =>
        Instead(choose, o => o with { MostTurns = mostTurns, Threads = 1 }, act);

    /// <summary>
    /// Whether a kernel that was launched computes nothing that hardware may round otherwise: no tensor core, no approximation.
    /// </summary>
    public static bool RoundsAsHardware(string kernel) => !Rounding.Contains($"Kernel_{kernel}");

    public static void ReleaseBuffers()
    {
        if (SharedDevice.IsValueCreated)
            SharedDevice.Value.Release();
    }

    public static void DisposeShared()
    {
        if (!SharedDevice.IsValueCreated)
            return;
        SharedDevice.Value.Dispose();
        Machine.Dispose();
    }

    private static void With(Func<MachineOptions, MachineOptions> change, Action act)
    {
        MachineOptions usual = Machine.Options;
        Machine.Options = change(usual);
        try
        {
            act();
        }
        finally
        {
            Machine.Options = usual;
        }
    }

    private static T Instead<T>(Func<PtxKernel, PtxKernel> choose, Func<MachineOptions, MachineOptions> change, Func<T> act)
    {
        T result = default!;
        MachineDriver.Instead = choose;
        try
        {
            With(change, () => result = act());
            return result;
        }
        finally
        {
            MachineDriver.Instead = null;
        }
    }

    // Entries are told apart by name alone, which instantiations share.
    private static void Note(string text)
    {
        if (RoundsOtherwise().IsMatch(text))
            Rounding.UnionWith(EntryName().Matches(text).Select(m => m.Groups[1].Value));
    }

    [GeneratedRegex(@"\.entry\s+(\w+)")]
    private static partial Regex EntryName();

    [GeneratedRegex(@"\b(mma\.sync|\w+\.approx|div\.full)")]
    private static partial Regex RoundsOtherwise();

    // From then on the process has no other CUDA driver.
    private static TestDevice Open()
    {
        if (TestDevice.Kind == "cuda")
            throw new InvalidOperationException("the PTX machine cannot stand beside the GPU that the tests were asked to run on");
        MachineDriver.Install(Machine);
        MachineDriver.Loaded += Note;
        DriverLibraries.Register(typeof(TestDevice).Assembly);
        Context context = Context.Create(b => b.Cuda().EnableAlgorithms().Optimize(OptimizationLevel.O2));
        return new TestDevice(context, c => c.GetCudaDevice(0).CreateCudaAccelerator(c)) { IsMachine = true };
    }
}
