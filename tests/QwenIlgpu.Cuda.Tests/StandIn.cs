using QwenIlgpu.PtxMachine;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>
/// The driver of this process, which stands in for NVIDIA's: that of the PTX machine. Fixtures look at what it records; its kernels do
/// nothing and its work is as late as it may be, unless a test asks for other <see cref="With">options</see>.
/// </summary>
[SetUpFixture]
internal sealed class StandIn
{
    private static readonly string Registers = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "data", "ptx-report.md"));

    /// <summary>The options of every test that does not ask for others.</summary>
    public static DriverOptions Usual { get; } = new()
    {
        Name = "Stand-in GPU",
        Devices = 2,
        MemoryBytes = 24L << 30,
        Order = WorkOrder.Late,
        FaultsStick = true,
        RunsKernels = false,
        Records = true,
        RegistersOf = RegistersOn(GpuArchitecture.Sm90),
    };

    /// <summary>Whether the engine's tests were asked to run on a GPU; those of calls cannot.</summary>
    public static bool IsHardware => TestContext.Parameters.Get("device") == "cuda";

    /// <summary>Everything recorded since the last <see cref="Clear"/>.</summary>
    public static DriverCall[] Calls => MachineDriver.Calls;

    public static void Clear() => MachineDriver.ClearCalls();

    /// <summary>How many handles of a kind have been created and not destroyed.</summary>
    public static int Live(HandleKind kind) => MachineDriver.Live(kind);

    /// <summary>From now on whatever waits for the device fails with this error, as after a kernel's fault; 0 ends that.</summary>
    public static void Fault(int error) => MachineDriver.Fault(error);

    /// <summary>Every kind of handle of which some are alive, with their number.</summary>
    public static string LiveHandles() =>
        string.Join(", ", Enum.GetValues<HandleKind>().Where(k => Live(k) != 0).Select(k => $"{Live(k)} {k}"));

    /// <summary>What the committed table says that kernels take on an architecture.</summary>
    public static Func<string, int> RegistersOn(GpuArchitecture architecture) => RegisterTable.Read(Registers, architecture);

    /// <summary>Other options than the usual ones, until it is disposed.</summary>
    public static IDisposable With(Func<DriverOptions, DriverOptions> change) => new Changed(change);

    [OneTimeSetUp]
    public void Install()
    {
        if (IsHardware)
            return;
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("the machine's driver is made for Linux");
        MachineDriver.Install(new Machine(), Usual);
    }

    private sealed class Changed : IDisposable
    {
        public Changed(Func<DriverOptions, DriverOptions> change) => MachineDriver.Options = change(Usual);

        public void Dispose() => MachineDriver.Options = Usual;
    }
}
