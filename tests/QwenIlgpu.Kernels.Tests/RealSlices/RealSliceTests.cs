using QwenIlgpu.PtxMachine;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Every kernel of the catalogue at a real slice: its reference and, on the PTX machine, no broken rule, the same bits under every
/// schedule, and no more memory traffic than the table says.
/// </summary>
[NonParallelizable]
internal sealed class RealSliceTests
{
    private const int Schedules = 3;

    private static readonly Dictionary<string, PtxTrafficCells> Measured = [];

    private static IEnumerable<TestCaseData> Slices() =>
        RealSliceCatalogue.All.Select(s => new TestCaseData(s).SetArgDisplayNames(s.ToString()));

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [Test]
    public void EveryKernelHasOneSlice() => Assert.That(
        RealSliceCatalogue.All.SelectMany(s => s.Kernels), Is.EquivalentTo(KernelCatalogue.All.Select(k => k.ToString())));

    [Category("Exhaustive")]
    [TestCaseSource(nameof(Slices))]
    public void EqualsItsReferenceUnderEverySchedule(object realSlice)
    {
        var slice = (Slice)realSlice;
        TestDevice device = WarpDevice.Named(WarpDevice.Usual);
        using var loader = new KernelLoader(device.Accelerator) { RunsWarpKernels = slice.RunsWarpKernels, UsesShares = false };
        if (!device.IsMachine)
        {
            device.With(loader, () => slice.Run(device).Check());
            return;
        }

        var traffic = new Dictionary<string, PtxTraffic>();

        SliceResult first = Run(slice, device, loader, 1, (name, counts) =>
            traffic[name] = traffic.GetValueOrDefault(name, PtxTraffic.None) + PtxTraffic.Of(counts));
        first.Check();
        for (int seed = 2; seed <= Schedules; seed++)
            Assert.That(Run(slice, device, loader, seed, null).HasBitsOf(first), $"the bits under schedule {seed}");

        string[] complaints = [.. slice.Kernels.Select(k => Compare(k, loader, traffic)).OfType<string>()];
        Assert.That(complaints, Is.Empty, () => PtxReport.Explain(complaints));
    }

    // All of gate and up of one token, 89 MB of codes.
    [Category("Exhaustive")]
    [Test]
    public void MultipliesGateAndUpWhole() => DecodeMatMulSlices.GateAndUp(WarpDevice.Named(WarpDevice.Usual)).Check();

    [OneTimeTearDown]
    public void WriteTheTable()
    {
        if (Measured.Count == 0 || TestContext.Parameters.Get("ptx-report") != "update")
            return;
        string file = PtxReport.FilePath;
        File.WriteAllText(file, PtxReport.Parse(File.ReadAllText(file)).With(Measured).ToString());
    }

    private static SliceResult Run(Slice slice, TestDevice device, KernelLoader loader, int seed, Action<string, LaunchCounts>? counted)
    {
        SliceResult? result = null;
        MachineDevice.Schedule(seed, counted, () => device.With(loader, () => result = slice.Run(device)));
        device.Release();
        return result!;
    }

    // A launch is known by its entry's name, which instantiations share: the loader must hold none but this one of them.
    private static string? Compare(string kernel, KernelLoader loader, Dictionary<string, PtxTraffic> traffic)
    {
        string entry = KernelCatalogue.Named(kernel).Method.Name;
        string[] sharing = [.. loader.Loaded.Select(l => l.Name).Where(n => KernelCatalogue.Named(n).Method.Name == entry)];
        Assert.That(sharing, Is.EqualTo(new[] { kernel }), $"instantiations of {entry} that were loaded");
        Assert.That(traffic, Does.ContainKey($"Kernel_{entry}"), "launches");

        PtxTraffic now = traffic[$"Kernel_{entry}"];
        TestContext.Out.WriteLine($"{kernel}: {now.Describe()}");
        PtxTrafficCells cells = Measured[kernel] = PtxTrafficCells.Of(now);
        string file = PtxReport.FilePath;
        if (TestContext.Parameters.Get("ptx-report") == "update" || !File.Exists(file))
            return null;
        return PtxReport.Parse(File.ReadAllText(file)).CompareTraffic(kernel, cells);
    }
}
